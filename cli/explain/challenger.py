"""`credit challenger`: what a challenger would have decided, from the receipts that it left at a door."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.console import say, say_table, stages
from cli.log.log_options import AsJson, Log
from features.errors import SettingsError
from pages import html
from storage.durable import replace_files
from storage.targets import prepare_folder, refuse_overwriting

app = typer.Typer(no_args_is_help=True, help="What a challenger would have decided beside a door, and when to stop.")


@app.callback()
def _group() -> None:
    """Keep `report` a subcommand although it is the only one."""


@app.command(
    epilog="Example: credit challenger report log --challenger 8d1c05f2a7b3 --bundles bundles --out challenger.html"
)
def report(
    log: Log,
    challenger: Annotated[
        str, typer.Option("--challenger", help="Id of its bundle, or the first digits.", show_default=False)
    ],
    bundles: Annotated[
        Path, typer.Option("--bundles", help="Folder of the bundles that decided, and its own.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="The page, .html; JSON goes beside it.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Say who would get another class, what it saves in money and lost good applicants, and whether to stop."""
    from compare import compared, headline, read_pairs, render

    if out.suffix.lower() != ".html":
        raise SettingsError(f"{out}: its name ends in {out.suffix or 'nothing'}, expected .html.")
    refuse_overwriting(bundles, [out])
    prepare_folder(out)
    with stages("Comparing", 3) as stage:
        stage("read")
        pairs = read_pairs(log, challenger, bundles)
        stage("compare")
        found = compared(pairs)
        stage("write")
        content = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        replace_files({out.with_suffix(".json"): content.encode(), out: render(found).encode()})
    if as_json:
        say(content.rstrip())
        return
    say(headline(found))
    changed = html.percent(found["changed"], 2)
    say(f"{changed} of {found['applications']:,} applications would get another class.")
    say()
    rows = [(row["class"], html.percent(row["champion"]), html.percent(row["challenger"])) for row in found["classes"]]
    say_table(("class", "in service", "challenger"), rows)
    say()
    say(str(out))

"""`credit challenger`: what a challenger would have decided, from the receipts that it left at a door."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batch import read_inputs
from cli.console import note, say, say_table, stages
from cli.explain.why_changed import both_specs, say_parts
from cli.log.log_options import AsJson
from cli.options import Encoding, Events, Separator, csv_dialect
from features.applications import identifier
from features.dialect import Dialect
from features.errors import InputError, SettingsError
from features.rejects import APPLICATIONS
from pages import html
from storage.durable import replace_files
from storage.tables import read_table
from storage.targets import prepare_folder, refuse_overwriting

if TYPE_CHECKING:
    from compare import Pairs

app = typer.Typer(no_args_is_help=True, help="What a challenger would have decided beside a door, and when to stop.")


@app.callback()
def _group() -> None:
    """Keep `report` a subcommand although it is the only one."""


@app.command(
    epilog="Example: credit challenger report log --challenger 8d1c05f2a7b3 --bundles bundles --out challenger.html"
)
def report(  # noqa: PLR0917 - typer takes options by name
    log: Annotated[
        Path,
        typer.Argument(
            help="The decision log's folder; or the decisions of a batch that ran with --challenger.",
            show_default=False,
        ),
    ],
    challenger: Annotated[
        str, typer.Option("--challenger", help="Id of its bundle, or the first digits.", show_default=False)
    ],
    bundles: Annotated[
        Path, typer.Option("--bundles", help="Folder of the bundles that decided, and its own.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="The page, .html; JSON goes beside it.", show_default=False)],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Of a batch's decisions: what came true; a log has its own.", show_default=False),
    ] = None,
    applications: Annotated[
        Path | None,
        typer.Option(
            "--applications", help="Those that were decided: then the report says why, too.", show_default=False
        ),
    ] = None,
    events: Events = None,
    separator: Separator = None,
    encoding: Encoding = None,
    as_json: AsJson = False,
) -> None:
    """Say who would get another class, what it saves in money and lost good applicants, and whether to stop."""
    from compare import compared, headline, read_night, read_pairs, render

    if out.suffix.lower() != ".html":
        raise SettingsError(f"{out}: its name ends in {out.suffix or 'nothing'}, expected .html.")
    if not log.exists():
        raise InputError(f"{log}: not there. Expected a decision log, or the decisions of `credit score --challenger`.")
    if labels is not None and log.is_dir():
        raise SettingsError("--labels: a log has outcomes of its own; add them with `credit outcomes add`.")
    if events is not None and applications is None:
        raise SettingsError("--events: expected --applications as well.")
    for source in (bundles, log, *filter(None, (labels, applications, events))):
        refuse_overwriting(source, [out])
    prepare_folder(out)
    dialect = csv_dialect(separator, encoding)
    with stages("Comparing", 3) as stage:
        stage("read")
        if log.is_file():
            known = None if labels is None else read_table(labels, "labels", dialect=dialect, tell=note)
            pairs = read_night(log, challenger, bundles, known)
        else:
            pairs = read_pairs(log, challenger, bundles)
        stage("compare")
        found = compared(pairs)
        if applications is not None:
            found["why"] = _why(pairs, applications, events, dialect)
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
    if "why" in found:
        say_parts(found["why"])
        say()
    say(str(out))


def _why(pairs: "Pairs", applications: Path, events: Path | None, dialect: Dialect) -> dict[str, Any]:
    """Put what changed between the newest champion and the challenger down to their parts."""
    from compare import why_changed

    before, after = pairs.champions[-1], pairs.challenger
    tables = read_inputs(applications, events, both_specs(before.spec, after.spec), dialect, note)
    own = identifier(tables[0].schema, APPLICATIONS, "application_id")
    decided = tables[0].filter(own.is_in(pairs.applications.implode()))
    if decided.is_empty():
        raise InputError(f"{applications}: holds none of the applications that both decided.")
    return why_changed(before, after, decided, tables[1]).summary()

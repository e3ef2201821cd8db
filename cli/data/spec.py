"""`credit spec`: a spec for your own data."""

from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from batch import look_at_ids
from cli.console import note, say, stages
from cli.options import Applications, Encoding, Events, Separator, csv_dialect
from features.dialect import Dialect
from features.draft import Tables, draft_spec
from features.spec.local import csv_lines
from storage.durable import replace_files
from storage.tables import read_columns, read_table
from storage.targets import prepare_folder

app = typer.Typer(no_args_is_help=True, help="Draft a spec for your own data.")


@app.callback()
def _group() -> None:
    """Keep `draft` a subcommand although it is the only one."""


@app.command(
    epilog="Example: credit spec draft --applications demo/tonight/applications.csv --events demo/tonight/events.csv "
    "--labels demo/tonight/labels.csv --out demo/my-spec.toml"
)
def draft(  # noqa: PLR0917 - typer takes options by name
    applications: Applications,
    out: Annotated[Path, typer.Option("--out", help="The spec to write, .toml.", show_default=False)],
    events: Events = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Their classes, if you have them.", show_default=False)
    ] = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Read your tables and write a commented spec: kinds, ranges, missing tokens, groups. EDIT marks decisions."""
    prepare_folder(out)
    with stages("Drafting", 2) as stage, ExitStack() as held:
        stage("read")
        csv = csv_dialect(separator, encoding)
        columns = held.enter_context(read_columns(applications, out, csv, note))
        tables = Tables(
            identity=columns.identity,
            columns=columns,
            events=None if events is None else read_table(events, "events", may_be_empty=True, dialect=csv, tell=note),
            labels=None if labels is None else read_table(labels, "labels", dialect=csv, tell=note),
            hints=() if labels is None else (labels.stem,),
        )
        stage("guess")
        drafted = draft_spec(tables)
    text = "\n".join([drafted.text, *csv_lines(csv), ""]) if csv != Dialect() else drafted.text
    kept = _keep_former(out, text)
    replace_files({out: text.encode()})
    for look in drafted.looks:
        say(look)
    join = "" if tables.events is None else look_at_ids(tables.identity, tables.events)
    if join:
        say(f"events: {join}")
    counted = f"{drafted.attributes} attributes, {drafted.left_out} columns left out"
    say(f"{counted}, {drafted.groups} groups of events: {out}")
    if kept is not None:
        say(f"The spec that was there, with what you edited, is kept: {kept}")
    say("Look for EDIT in it, then: credit train DIR --bundles BUNDLES, with the spec as DIR/spec.toml")


def _keep_former(out: Path, text: str) -> Path | None:
    """Copy a spec that is there beside it before the draft takes its place: it may hold a person's work."""
    if not out.is_file() or out.read_bytes() == text.encode():
        return None
    free = (out.with_name(f"{out.name}.{number}") for number in count(1))
    kept = next(path for path in free if not path.exists())
    replace_files({kept: out.read_bytes()})
    return kept

"""`credit why-changed`: what two bundles decide otherwise, and which of their parts made it so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batch import read_inputs
from cli.console import note, say, say_table, stages
from cli.options import Applications, Encoding, Events, Separator, csv_dialect
from features.errors import SettingsError
from features.spec.contract import Spec
from scoring.scorer import Scorer
from storage.durable import replace_files
from storage.table_writer import encode
from storage.targets import prepare_folder, refuse_overwriting

if TYPE_CHECKING:
    from compare import Changes

app = typer.Typer()
_SUFFIXES = (".csv", ".parquet", ".json")


@app.command(
    epilog="Example: credit why-changed demo/bundles/current demo/bundles/next --applications "
    "demo/tonight/applications.csv --events demo/tonight/events.csv --out demo/changed.csv"
)
def why_changed(  # noqa: PLR0917 - typer takes options by name
    first: Annotated[Path, typer.Argument(metavar="A", help="A bundle, such as the one in service.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The bundle to compare it with.")],
    applications: Applications,
    events: Events = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="One row per changed decision with its shares, .csv, .parquet or .json.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Put each decision that two bundles make differently down to spec, features, model, calibration or policy."""
    from compare import why_changed as compare

    if out is not None:
        _check_out(out, [applications, *([events] if events else []), first, second])
    with stages("Comparing", 3) as stage:
        stage("read")
        bundles = [Scorer.open(path).bundle for path in (first, second)]
        spec = both_specs(*[bundle.spec for bundle in bundles])
        tables = read_inputs(applications, events, spec, csv_dialect(separator, encoding, spec.csv), note)
        stage("compare")
        changes = compare(bundles[0], bundles[1], *tables)
        stage("write")
        if out is not None:
            replace_files({out: _content(changes, out.suffix.lower())})
    if as_json:
        say(json.dumps(changes.document(), indent=2, ensure_ascii=False))
    else:
        _say(changes)
        if out is not None:
            say(str(out))


def _check_out(out: Path, sources: list[Path]) -> None:
    if out.suffix.lower() not in _SUFFIXES:
        raise SettingsError(f"{out}: its name ends in {out.suffix or 'nothing'}, expected {', '.join(_SUFFIXES)}.")
    for source in sources:
        refuse_overwriting(source, [out])
    prepare_folder(out)


def both_specs(one: Spec, other: Spec) -> Spec:
    """Return a spec by which tables are read that both bundles take."""
    known = {attribute.name for attribute in one.attributes}
    more = [attribute for attribute in other.attributes if attribute.name not in known]
    return replace(one, attributes=(*one.attributes, *more), groups=(*one.groups, *other.groups))


def _content(changes: "Changes", suffix: str) -> bytes:
    if suffix == ".json":
        return json.dumps(changes.document(), indent=2, ensure_ascii=False).encode() + b"\n"
    return encode(changes.rows, suffix)


def say_parts(found: dict[str, Any]) -> None:
    """Print how many changed decisions are put down to which parts."""
    changed = max(1, found["changed"])
    rows = [
        (one["name"], f"{one['decisions']:,.2f}", f"{one['decisions'] / changed:.1%}", one["alone"])
        for one in found["parts"]
    ]
    say_table(("put down to", "decisions", "share", "wholly its own"), rows)


def _say(changes: "Changes") -> None:
    changed = changes.rows.height
    say(f"{changed:,} of {changes.applications:,} applications are decided otherwise by the second bundle.")
    if not changes.shares:
        say("The bundles have the same spec, features, model, calibration and policy.")
    if not changed:
        return
    say()
    say_parts(changes.summary())
    say()
    say_table(
        ("from", "to", "decisions"), [(move["before"], move["after"], move["decisions"]) for move in changes.moves]
    )
    for one in changes.shares:
        if len(one.parts) > 1:
            say()
            say(f"{', '.join(one.parts)} cannot be swapped one by one between these bundles; they stand as one.")

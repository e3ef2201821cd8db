"""`credit check`: what would happen tonight, without a model."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from batch import Accepted, Check, IdForm, check_tables, frozen
from cli.console import note, say, say_table, stages, warn
from cli.data.spec_files import read_spec
from cli.doors.score import match_rows
from cli.options import (
    AllowDegraded,
    AllowEmptyEvents,
    Applications,
    Encoding,
    Events,
    MaxRejectShare,
    MinMatched,
    Separator,
    csv_dialect,
)
from cli.places import bundle_here
from features.errors import RejectLimitError, SettingsError
from scoring.bundle import read_bundle

app = typer.Typer()


@app.command(
    epilog="Example: credit check --bundle demo/bundles/current --applications demo/tonight/applications.csv "
    "--events demo/tonight/events.csv"
)
def check(  # noqa: PLR0917 - typer takes options by name
    applications: Applications,
    events: Events = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Compare with this bundle's training.", show_default=False)
    ] = None,
    spec: Annotated[
        Path | None, typer.Option("--spec", help="A spec, where there is no bundle yet.", show_default=False)
    ] = None,
    max_reject_share: MaxRejectShare = 0.05,
    allow_empty_events: AllowEmptyEvents = False,
    min_matched: MinMatched = None,
    allow_degraded: AllowDegraded = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Say what a run would make of these tables: rejects, matches, health of each column; exit 3 if it would end so."""
    if (bundle is None) == (spec is None):
        raise SettingsError("expected either --bundle or --spec. See credit check --help.")
    made = None if bundle is None else read_bundle(bundle_here(bundle))
    contract = made.spec if made is not None else read_spec(spec or Path())
    job = Check(
        spec=contract,
        applications=applications,
        events=events,
        accepted=Accepted(
            empty_events=allow_empty_events, degraded=tuple(allow_degraded or ()), min_matched=min_matched
        ),
        reference=None if made is None else frozen(made),
        alone=made is None,
        max_reject_share=max_reject_share,
        threads=len(os.sched_getaffinity(0)),
        dialect=csv_dialect(separator, encoding, contract.csv),
    )
    with stages("Checking", 1) as stage:
        stage("read")
        found = check_tables(job)
    if as_json:
        say(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _say(found)
    if found["exit_code"]:
        sys.exit(RejectLimitError.exit_code)


def _say(found: dict[str, Any]) -> None:
    rows: list[tuple[object, ...]] = [(name, found[name]) for name in ("applications", "events")]
    rows += [("applications that would be rejected", found["rejected_applications"])]
    rows += [(f"  {code}", count) for code, count in found["rejects_by_code"].items()]
    say_table((), rows + match_rows(found["matches"]))
    say()
    say_table(
        ("column", "usable", "at training", "unusable cells by cause"),
        [
            (
                column["column"],
                _share(column["usable_share"]),
                _share(column["usable_share_at_training"]),
                ", ".join(f"{cause} {cells:,}" for cause, cells in column["unusable"].items()),
            )
            for column in found["columns"]
        ],
    )
    if found["join"] is not None:
        say()
        say_table((), list(_join_rows(found["join"])))
    for text in (*found["dates"], *found["notes"]):
        note(text)
    for text in found["refusals"]:
        warn(f"would end with code 3: {text}")
    say()
    say(
        "A run would end with code 3 and leave the previous output."
        if found["refusals"]
        else "A run would decide these."
    )


def _join_rows(join: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for table, form in join["id_forms"].items():
        if form is not None:
            rows.append((f"customer_id of the {table}", _form(form)))
    rows += [(name, " to ".join(join[name])) for name in ("as_of", "occurred_at") if join[name]]
    if join["repair"]:
        rows.append((f"would match without {' and '.join(join['repair'])}", _share(join["repaired_share"])))
    return rows


def _form(form: dict[str, Any]) -> str:
    return IdForm(**form).text()


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"

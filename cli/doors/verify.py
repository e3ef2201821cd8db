"""`credit verify`: the proof that the doors agree."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table, stages
from cli.doors.score import match_rows
from cli.options import Applications, BundleOption, Encoding, Events, Separator, csv_dialect
from features.errors import SettingsError
from storage.durable import replace_files
from storage.targets import prepare_folder

if TYPE_CHECKING:
    from verify import Report

app = typer.Typer()
_DOORS_DIFFER = 7


@app.command(
    epilog="Example: credit verify --bundle demo/bundles/current --applications demo/tonight/applications.csv "
    "--events demo/tonight/events.csv"
)
def verify(  # noqa: PLR0917 - typer takes options by name
    bundle: BundleOption,
    applications: Applications,
    events: Events = None,
    brokers: Annotated[
        str | None,
        typer.Option(
            help="Kafka brokers for the stream, where new topics stay; else an embedded one.", show_default=False
        ),
    ] = None,
    history: Annotated[
        bool,
        typer.Option("--history", help="Put the events through a history store: the doors are asked without them."),
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            help="With --history: make the store there, postgresql://..., where it stays; else in a temporary folder.",
            show_default=False,
        ),
    ] = None,
    spark: Annotated[
        bool, typer.Option("--spark", help="Score the files on Apache Spark, too, with all cores of this machine.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report as JSON.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Score your applications at every door, each in a process of its own; exit 7 if one bit differs."""
    if store is not None and not history:
        raise SettingsError("--store: expected together with --history, which puts the events there.")
    if out is not None:
        prepare_folder(out)
    from verify import Question
    from verify import verify as run

    dialect = csv_dialect(separator, encoding) if separator or encoding else None
    question = Question(bundle=bundle.resolve(), applications=applications, events=events, dialect=dialect, store=store)
    with stages("Verifying", 6 if spark else 5) as stage:
        report = run(question, brokers, stage, history=history, spark=spark)
    text = json.dumps(report.document(), indent=2, ensure_ascii=False)
    if out is not None:
        replace_files({out: text.encode() + b"\n"})
    if as_json:
        say(text)
    else:
        _say(report)
    if not report.agree:
        sys.exit(_DOORS_DIFFER)


def _say(report: "Report") -> None:
    say(f"Bundle {report.bundle_id}")
    rows: list[tuple[object, ...]] = [("applications", report.applications)]
    rows += [("  decisions", report.decisions)]
    rows += [(f"  {code}", count) for code, count in report.rejects_by_code.items()]
    rows += match_rows(asdict(report.matches))
    rows += [("  repeated application_id, which only files can see: set apart", report.repeated)]
    say_table((), rows)
    say()
    say_table(
        ("door", "compared with batch", "that differ", "columns"),
        [
            (c.door, c.compared, c.different, ", ".join(f"{n} {k:,}" for n, k in c.by_column.items()) or "none differs")
            for c in report.comparisons
        ],
    )
    say()
    if report.agree:
        through = "" if not report.history else " The doors took the events from a history store."
        say(f"Every bit of {len(report.columns)} columns agrees.{through}")
    else:
        say(f"First application that differs: {report.first_application_id}")

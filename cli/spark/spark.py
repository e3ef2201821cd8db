"""`credit spark`: the nightly batch on an Apache Spark cluster."""

import os
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from cli.console import note, say, stages
from cli.doors.score import say_counts
from cli.doors.trusted import TrustOption, open_scorer
from cli.options import (
    AllowDegraded,
    AllowEmptyEvents,
    Applications,
    BundleOption,
    Encoding,
    Events,
    MaxRejectShare,
    MinMatched,
    Separator,
    SpreadsheetSafe,
    csv_dialect,
)
from cli.places import bundle_here
from features.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Score applications on an Apache Spark cluster.")


@app.command(epilog="Example: credit spark script")
def script() -> None:
    """Print the path of what spark-submit runs: `credit spark score` with the options behind it."""
    say(str(Path(__file__).with_name("submit.py")))


@app.command(
    epilog="Example: credit spark score --bundle demo/bundles/current --applications demo/tonight/applications.csv "
    "--events demo/tonight/events.csv --out demo/decisions"
)
def score(  # noqa: PLR0917 - typer takes options by name
    bundle: BundleOption,
    applications: Applications,
    out: Annotated[
        Path, typer.Option("--out", help="Decisions: a folder of Parquet files, or a URL.", show_default=False)
    ],
    events: Events = None,
    max_reject_share: MaxRejectShare = 0.05,
    allow_empty_events: AllowEmptyEvents = False,
    min_matched: MinMatched = None,
    allow_degraded: AllowDegraded = None,
    separator: Separator = None,
    encoding: Encoding = None,
    spreadsheet_safe: SpreadsheetSafe = False,
    buckets: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Into how many parts customers are cut, a task each. Not given: by the size of the tables.",
            show_default=False,
        ),
    ] = None,
    log: Annotated[Path | None, typer.Option("--log", help="Not supported on Spark.", show_default=False)] = None,
    challenger: Annotated[
        list[Path] | None, typer.Option("--challenger", help="Not supported on Spark.", show_default=False)
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Score applications as `credit score` does, with the same bits, where spark-submit says; else on this machine."""
    if log is not None:
        raise SettingsError(
            "--log: decisions on Spark leave no receipts, because a chain of receipts has one writer. Score with "
            "`credit score --log`, or leave the option out."
        )
    if challenger:
        raise SettingsError(
            "--challenger: on Spark one bundle decides. Run again with the challenger as --bundle and another --out, "
            "and join both outputs by application_id; or score with `credit score --challenger`."
        )
    from batch import Accepted
    from batch.spark import SparkJob, open_session, run_on_spark

    scorer = open_scorer(bundle_here(bundle), trust)
    job = SparkJob(
        applications=applications,
        events=events,
        out=out,
        max_reject_share=max_reject_share,
        accepted=Accepted(
            empty_events=allow_empty_events, degraded=tuple(allow_degraded or ()), min_matched=min_matched
        ),
        dialect=csv_dialect(separator, encoding, scorer.bundle.spec.csv),
        spreadsheet_safe=spreadsheet_safe,
        buckets=buckets,
        rights=_rights(),
    )
    with stages("Scoring", 4) as stage:
        manifest = run_on_spark(job, scorer, open_session, stage)
    for text in manifest["notes"]:
        note(text)
    _say_run(manifest, out)


def _say_run(manifest: dict[str, Any], out: Path) -> None:
    say_counts(manifest)
    parts = [name for name in manifest["outputs"] if PurePosixPath(name).name.startswith("part-")]
    rejects = next(name for name in manifest["outputs"] if name not in parts)
    here = {
        "decisions": f"{out}, {len(parts):,} part files",
        "rejects": out / rejects,
        "run manifest": out / "_run.json",
    }
    for what, where in manifest.get("places", here).items():
        say(f"{what:12} {where}")


def _rights() -> int:
    """Return this process's mask, which cannot be asked without being set."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

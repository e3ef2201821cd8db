"""`credit score`: the nightly batch."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from batch import BatchJob, LogSettings, run_batch
from cli.console import note, say, say_table, stages, warn
from cli.doors.trusted import TrustOption, open_scorer
from cli.log.log_options import PiiKey, ReceiptContent, read_pii_key
from cli.options import (
    AllowDegraded,
    AllowEmptyEvents,
    Applications,
    BundleOption,
    Encoding,
    Events,
    MaxRejectShare,
    Memory,
    MinMatched,
    Separator,
    SpreadsheetSafe,
    csv_dialect,
)
from cli.places import bundle_here
from features.errors import CreditError
from scoring.challengers import check_beside
from scoring.scorer import Scorer
from storage.remote.addresses import spelled

app = typer.Typer()


@app.command(
    epilog="Example: credit score --bundle demo/bundles/current --applications demo/tonight/applications.csv "
    "--events demo/tonight/events.csv --out demo/decisions.csv"
)
def score(  # noqa: PLR0917 - typer takes options by name
    bundle: BundleOption,
    applications: Applications,
    out: Annotated[
        Path, typer.Option("--out", help="Decisions, .csv or .parquet; or a URL (s3://...).", show_default=False)
    ],
    events: Events = None,
    max_reject_share: MaxRejectShare = 0.05,
    allow_empty_events: AllowEmptyEvents = False,
    min_matched: MinMatched = None,
    allow_degraded: AllowDegraded = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="Decision log: a folder where each decision leaves a receipt.", show_default=False),
    ] = None,
    receipts: Annotated[
        ReceiptContent,
        typer.Option(help="What receipts hold: the feature row, or the application with its events too."),
    ] = ReceiptContent.FEATURES,
    pii_key: PiiKey = None,
    separator: Separator = None,
    encoding: Encoding = None,
    spreadsheet_safe: SpreadsheetSafe = False,
    memory: Memory = None,
    trust: TrustOption = None,
    challenger: Annotated[
        list[Path] | None,
        typer.Option(
            "--challenger",
            help="Another bundle: what it decides goes to a file beside the output. Repeatable.",
            show_default=False,
        ),
    ] = None,
    challenger_share: Annotated[
        float, typer.Option("--challenger-share", min=0.0, max=1.0, help="For this share of the customers.")
    ] = 1.0,
) -> None:
    """Score applications from files; the cron job. Decisions, rejects and a run manifest are replaced atomically."""
    threads = len(os.sched_getaffinity(0))
    scorer = open_scorer(bundle_here(bundle), trust, threads)
    job = BatchJob(
        applications=applications,
        events=events,
        out=out,
        max_reject_share=max_reject_share,
        allow_empty_events=allow_empty_events,
        allow_degraded=tuple(allow_degraded or ()),
        min_matched=min_matched,
        threads=threads,
        memory=memory,
        log=None if log is None else _log_settings(log, receipts, pii_key),
        dialect=csv_dialect(separator, encoding, scorer.bundle.spec.csv),
        spreadsheet_safe=spreadsheet_safe,
        challengers=tuple(_challengers(challenger or (), scorer, trust, threads)),
        challenger_share=challenger_share,
    )
    with stages("Scoring", 3) as stage:
        manifest = run_batch(job, scorer, stage)
    for text in manifest["notes"]:
        note(text)
    _say_run(manifest, job)


def _challengers(paths: Sequence[Path], champion: Scorer, trust: Path | None, threads: int) -> list[Scorer]:
    """Open those that can stand beside the champion; the others are left out: the night does not depend on them."""
    found: list[Scorer] = []
    for path in paths:
        try:
            scorer = open_scorer(bundle_here(path), trust, threads)
            check_beside(scorer, champion, found)
            found.append(scorer)
        except (CreditError, OSError) as error:
            warn(f"challenger {spelled(path)} is left out: {error}")
    return found


def _log_settings(log: Path, receipts: ReceiptContent, pii_key: Path | None) -> LogSettings:
    full = receipts is ReceiptContent.FULL
    return LogSettings(log=log, clock=lambda: datetime.now(UTC), full=full, pii_key=read_pii_key(pii_key))


def _say_run(manifest: dict[str, Any], job: BatchJob) -> None:
    say_counts(manifest)
    here = {"decisions": job.out, "rejects": job.rejects_path, "run manifest": job.manifest_path}
    for what, where in manifest.get("places", here).items():
        say(f"{what:12} {where}")
    for one in manifest.get("challengers", ()):
        say(_challenger_line(one))
    if "receipts" in manifest:
        made = manifest["receipts"]
        say(f"receipts     {made['log']}: {made['receipts']:,} by {made['writer']}, head {made['head']}")


def say_counts(manifest: dict[str, Any]) -> None:
    """Print what a run read and made."""
    rows: list[tuple[object, ...]] = [("applications", manifest["applications"]), ("decisions", manifest["decisions"])]
    rows += [(f"  {name}", count) for name, count in manifest["decisions_by_class"].items()]
    rows += [("rejected applications", manifest["rejected_applications"])]
    rows += [(f"  {code}", count) for code, count in manifest["rejects_by_code"].items()]
    rows += match_rows(manifest["matches"])
    rows += [("cells that became missing", sum(d["cells"] for d in manifest["dirt"] if d["table"] == "applications"))]
    say_table((), rows)


def _challenger_line(one: dict[str, Any]) -> str:
    if one["failed"]:
        return f"challenger   {one['bundle_id'][:12]} failed: {one['failed']}"
    dropped = f", {one['dropped']:,} left out for time" if one["dropped"] else ""
    where = ", ".join(one["outputs"])
    return f"challenger   {where}: {one['changed']:,} of {one['decisions']:,} decided otherwise{dropped}"


def match_rows(matches: dict[str, Any]) -> list[tuple[object, ...]]:
    """Lay out how many applications have a history, and the events used by kind, for a table."""
    if not matches["events"]:
        return []
    known = matches.get("share_at_training")
    training = "" if known is None else f"; {known:.1%} at training"
    share = matches["matched_applications"] / matches["applications"] if matches["applications"] else 0.0
    text = f"applications with a usable event ({share:.1%}{training})"
    rows: list[tuple[object, ...]] = [(text, matches["matched_applications"])]
    return rows + [(f"  events used: {kind}", count) for kind, count in matches["events"].items()]

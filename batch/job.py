"""One batch run, as cron starts it.

1. check    the output can be written and no other run is writing it; nothing is read before
2. read     both tables strictly, hashed as they are read; a file that cannot be used ends the run
3. score    every application becomes one decision or one reject
4. account  rows in = decisions + rejects, or the run ends; too many rejects end it with the previous output intact
5. replace  rejects, decisions, then the run manifest; each is the old file or the new one, never a part
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from batch.lock import only_run
from batch.output import check_target, encode, refuse_folders, refuse_overwriting, replace_files
from batch.tables import SourceTable, read_table
from features.applications import identifier
from features.errors import CreditError, RejectLimitError
from features.rejects import APPLICATIONS, EVENTS, rejects_frame
from features.spec import EVENT_COLUMNS, IDENTITY, Spec
from scoring.bundle import sha256
from scoring.decisions import flat_reasons
from scoring.scorer import Scored, Scorer

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What to score and where to put it. `max_reject_share`: rejected / all applications, exceeded ends the run."""

    applications: Path
    events: Path
    out: Path
    max_reject_share: float = 0.05
    allow_empty_events: bool = False

    @property
    def rejects_path(self) -> Path:
        """Where rejects go: `decisions.csv` -> `decisions.rejects.csv`."""
        return self.out.with_name(f"{self.out.stem}.rejects.csv")

    @property
    def manifest_path(self) -> Path:
        """Where the run manifest goes: `decisions.csv` -> `decisions.run.json`."""
        return self.out.with_name(f"{self.out.stem}.run.json")


@dataclass(slots=True)
class Stopwatch:
    """Seconds by stage; announces each stage as it begins."""

    announce: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _stage: str = ""
    _since: float = 0.0

    def stage(self, name: str) -> None:
        """End the running stage and begin this one."""
        now = time.monotonic()
        if self._stage:
            self.seconds[self._stage] = round(now - self._since, 3)
        self._stage, self._since = name, now
        if name:
            self.announce(name)


def run_batch(job: BatchJob, scorer: Scorer, progress: Progress = lambda _stage: None) -> dict[str, Any]:
    """Score a file and return the run manifest that was written beside the output.

    Raises:
        InputError: a file cannot be used.
        RejectLimitError: too many rejects; they lie beside the output as `.failed`.
        DeliveryError: the output could not be written.

    """
    check_target(job.out)
    refuse_folders([job.rejects_path, job.manifest_path])
    for source in (job.applications, job.events, scorer.bundle.path):
        refuse_overwriting(source, [job.out, job.rejects_path, job.manifest_path])
    with only_run(job.out):
        return _run(job, scorer, Stopwatch(progress))


def _run(job: BatchJob, scorer: Scorer, watch: Stopwatch) -> dict[str, Any]:
    watch.stage("read")
    spec = scorer.bundle.spec
    applications, events = read_inputs(job.applications, job.events, spec, allow_empty_events=job.allow_empty_events)
    watch.stage("score")
    scored = score_tables(scorer, applications.frame, events.frame)
    watch.stage("write")
    rejects = _with_files(scored.rejects, applications, events)
    rejected = int((rejects["table"] == APPLICATIONS).sum())
    _check_account(applications.frame.height, scored.decisions.height, rejected)
    if rejected > job.max_reject_share * applications.frame.height:
        _refuse_rejects(job, rejects, rejected, applications.frame.height)
    decisions = flat_reasons(scored.decisions) if job.out.suffix.lower() == ".csv" else scored.decisions
    contents = {job.rejects_path: encode(rejects, ".csv"), job.out: encode(decisions, job.out.suffix)}
    watch.stage("")
    manifest: dict[str, Any] = {
        "bundle_id": scorer.bundle.bundle_id,
        "applications": applications.frame.height,
        "decisions": scored.decisions.height,
        "rejected_applications": rejected,
        "events": events.frame.height,
        "rejects_by_code": _counts(rejects["code"]),
        "decisions_by_class": _counts(scored.decisions["credit_class"]),
        "dirt": scored.dirt.to_dicts(),
        "notes": [*applications.notes, *events.notes],
        "inputs": [
            {"table": name, "file": file.label, "rows": file.rows, "sha256": file.sha256}
            for name, table in ((APPLICATIONS, applications), (EVENTS, events))
            for file in table.files
        ],
        "outputs": {path.name: sha256(content) for path, content in contents.items()},
        "seconds": watch.seconds,
    }
    contents[job.manifest_path] = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
    replace_files(contents)
    return manifest


def read_inputs(
    applications: Path, events: Path, spec: Spec, *, allow_empty_events: bool = False
) -> tuple[SourceTable, SourceTable]:
    """Read the two canonical tables. Events without rows are refused where the spec measures events.

    Raises:
        InputError: a file cannot be used.

    """
    names = [attribute.name for attribute in spec.attributes]
    events_may_be_empty = allow_empty_events or not spec.groups
    return (
        read_table(applications, APPLICATIONS, known={*IDENTITY, *names}),
        read_table(events, EVENTS, known={*EVENT_COLUMNS, "recorded_at"}, may_be_empty=events_may_be_empty),
    )


def score_tables(scorer: Scorer, applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
    """Score tables of files, in which an application_id may be repeated: then every row of it is rejected."""
    if "application_id" not in applications.columns:
        return scorer.score(applications, events)
    ids = applications.select(identifier(applications.schema, APPLICATIONS, "application_id")).to_series()
    repeated = ids.is_duplicated() & ids.is_not_null() & (ids != "")
    rows = pl.Series(np.arange(1, applications.height + 1))
    scored = scorer.score(applications.filter(~repeated), events)
    kept = rows.filter(~repeated)
    own = pl.col("table") == APPLICATIONS
    original = scored.rejects.filter(own).with_columns(row=kept.gather(scored.rejects.filter(own)["row"] - 1))
    doubled = rejects_frame(
        pl.DataFrame({"row": rows, "application_id": ids})
        .filter(repeated)
        .with_columns(
            table=pl.lit(APPLICATIONS), column=pl.lit("application_id"), code=pl.lit("application_id_repeated")
        )
    )
    rejects = pl.concat([pl.concat([original, doubled]).sort("row"), scored.rejects.filter(~own)])
    return Scored(scored.decisions, rejects, scored.dirt)


def _with_files(rejects: pl.DataFrame, applications: SourceTable, events: SourceTable) -> pl.DataFrame:
    """Name the file and the row in that file, for applications and for the events that rejected them."""
    own = rejects.filter(pl.col("table") == APPLICATIONS)
    orphans = rejects.filter(pl.col("table") == EVENTS)
    parts = []
    for part, table in ((own, applications), (orphans, events)):
        file, row = table.locate(part["row"])
        event_file, event_row = events.locate(part["event_row"])
        parts.append(part.with_columns(file=file, row=row, event_file=event_file, event_row=event_row))
    columns = ("table", "file", "row", "application_id", "column", "code", "event_file", "event_row", "expected")
    return pl.concat(parts).select(columns)


def _check_account(rows: int, decisions: int, rejected: int) -> None:
    if rows != decisions + rejected:
        raise CreditError(
            f"{rows} applications came in, {decisions} decisions and {rejected} rejects would go out. Nothing was "
            "written. This is a fault of the product: please report it."
        )


def _refuse_rejects(job: BatchJob, rejects: pl.DataFrame, rejected: int, rows: int) -> None:
    failed = job.rejects_path.with_name(job.rejects_path.name + ".failed")
    replace_files({failed: encode(rejects, ".csv")})
    causes = ", ".join(f"{code} {count}" for code, count in _counts(rejects["code"]).items())
    raise RejectLimitError(
        f"{rejected} of {rows} applications were rejected ({rejected / rows:.1%}), expected at most "
        f"{job.max_reject_share:.1%}: {causes}. The previous output is as it was; see {failed}. Correct the source, "
        "or raise --max-reject-share if this is known and accepted."
    )


def _counts(values: pl.Series) -> dict[str, int]:
    counts = values.rename("value").value_counts().sort("count", "value", descending=[True, False])
    return {value: int(count) for value, count in counts.iter_rows()}

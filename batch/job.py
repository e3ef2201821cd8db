"""One batch run, as cron starts it.

1. check    the output can be written and no other run is writing it; nothing is read before
2. read     both tables strictly, hashed as they are read; a file that cannot be used ends the run
3. score    every application becomes one decision or one reject
4. account  rows in = decisions + rejects, or the run ends; too many rejects, events that match nobody, or a column of
            weight that is gone end it with the previous output intact
5. seal     with a decision log: receipts of all decisions are in it before one of them is delivered
6. replace  rejects, decisions, then the run manifest; each is the old file or the new one, never a part
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from batch.challengers import opened as opened_challengers
from batch.inputs import open_inputs
from batch.joining import advise, look_at_join
from batch.night import Accepted, Night, Seen, frozen, judge_night
from batch.partitions import PARTITION_BYTES, ROW, spread
from batch.receipts import LogSettings, opened
from batch.report import REJECT_COLUMNS, Tables, make_manifest, refusal, with_files
from batch.score_partitions import Results, results, score_partitions
from batch.spreadsheets import without_formulas
from batch.windows import in_order
from features.dialect import Dialect
from scoring.decisions import decision_schema, flat_reasons
from scoring.scorer import Scorer
from storage.durable import Replacement, remove_parts
from storage.locks import Lock
from storage.remote.addresses import address_of
from storage.remote.publication import publication
from storage.room import room_of
from storage.spool import remove_spools
from storage.table_writer import write_frames
from storage.targets import check_target, refuse_addresses, refuse_folders, refuse_overwriting

Progress = Callable[[str], None]


def only_run(out: Path) -> Lock:
    """Take the lock of an output: a second cron job ends at once instead of mixing its files with the first one's.

    Raises:
        DeliveryError: another run holds it.

    """
    busy = f"{out}: another run is writing this output. Wait for it, or end it."
    return Lock(out.with_name(f".{out.name}.lock"), busy, passing=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What to score and where to put it.

    `max_reject_share`: rejected / all applications, exceeded ends the run. `partition_bytes`: how much of the tables is
    scored at a time by each of `threads`, `memory` how many bytes the run may use in all (None: as much as is free, see
    `storage.room`); these decide memory and speed, never a byte of the output. `dialect`: of CSV files, where it is not
    the spec's. `allow_empty_events`, `allow_degraded` (columns) and `min_matched`: see `batch.night.Accepted`.
    `challengers` decide as well, for this share of the customers: see `batch.challengers`.
    """

    applications: Path
    events: Path | None
    out: Path
    max_reject_share: float = 0.05
    allow_empty_events: bool = False
    allow_degraded: tuple[str, ...] = ()
    min_matched: float | None = None
    threads: int = 1
    partition_bytes: int = PARTITION_BYTES
    memory: int | None = None
    spreadsheet_safe: bool = False
    log: LogSettings | None = None
    dialect: Dialect | None = None
    challengers: tuple[Scorer, ...] = ()
    challenger_share: float = 1.0

    @property
    def accepted(self) -> Accepted:
        """What the caller accepts of a night that is not what training saw."""
        return Accepted(
            empty_events=self.allow_empty_events, degraded=self.allow_degraded, min_matched=self.min_matched
        )

    def plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows as they are written to CSV."""
        return without_formulas(frame) if self.spreadsheet_safe else frame

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
    """Score a file and return the run manifest that was written beside the output, and accounts of challengers.

    An output in an object store is written on this machine first; its `places` are returned too.

    Raises:
        InputError: a file cannot be used.
        RejectLimitError: too many rejects, events that match nobody, or a column that is gone; the rejects lie beside
            the output as `.failed`.
        DeliveryError: the output could not be written.

    """
    job.accepted.check(scorer.bundle.spec)
    if job.log is not None:
        refuse_addresses(job.log.log)
    given = (job.applications, job.events, scorer.bundle.path, job.log and job.log.log)
    for source in (path for path in given if path):
        refuse_overwriting(source, [job.out, job.rejects_path, job.manifest_path])
    address = address_of(job.out)
    if address is None:
        return _run_here(job, scorer, progress)
    with publication(address) as there:
        here = replace(job, out=there.path)
        with there.written():
            manifest = _run_here(here, scorer, progress)
        return manifest | there.deliver()


def _run_here(job: BatchJob, scorer: Scorer, progress: Progress) -> dict[str, Any]:
    """Run with an output on this machine."""
    check_target(job.out)
    refuse_folders([job.rejects_path, job.manifest_path])
    with only_run(job.out):
        remove_spools(job.out)
        remove_parts([job.rejects_path, job.out, job.manifest_path])
        return _run(job, scorer, Stopwatch(progress))


def _run(job: BatchJob, scorer: Scorer, watch: Stopwatch) -> dict[str, Any]:
    watch.stage("read")
    with ExitStack() as resources:
        receipts = resources.enter_context(opened(job.log, scorer.bundle.spec))
        tables = open_inputs(job.applications, job.events, scorer.bundle.spec, job.dialect)
        for table in tables:
            resources.enter_context(table)
        room = room_of(job.memory)
        partitions = resources.enter_context(spread(tables, scorer, job.out, job.partition_bytes, room))
        if receipts is not None:
            receipts.read_from(tables[0])
        watch.stage("score")
        scored = resources.enter_context(results(job.out, scorer.bundle.spec, room))
        challengers = resources.enter_context(
            opened_challengers(scorer, job.challengers, job.challenger_share, job.out, room)
        )
        also = [*([] if receipts is None else [receipts.add]), challengers.add]
        score_partitions(partitions, scorer, job.threads, scored, also)
        spec = scorer.bundle.spec
        seen = Seen(tables[1], scored, lambda: look_at_join(partitions, spec).text())
        night = judge_night(spec, frozen(scorer.bundle), seen, job.accepted)
        night.advice = advise(partitions.first, scored, tables[0].rows)
        watch.stage("write")
        replacement = resources.enter_context(Replacement())
        _refuse(job, tables, scored, night, replacement)
        digests = _write(job, tables, scored, scorer, replacement)
        watch.stage("")
        manifest = make_manifest(tables, scored, scorer.bundle, digests, night) | {"seconds": watch.seconds}
        manifest |= {} if receipts is None else {"receipts": receipts.seal()}
        content = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        replacement.write(job.manifest_path, lambda file: file.write(content))
        replacement.commit()
        return manifest | ({"challengers": challengers.write(job.plain)} if job.challengers else {})


def _refuse(job: BatchJob, tables: Tables, scored: Results, night: Night, replacement: Replacement) -> None:
    """End a run that must not replace the previous output, and keep its rejects."""
    failed = job.rejects_path.with_name(job.rejects_path.name + ".failed")
    error = refusal(scored, tables[0].rows, job.max_reject_share, failed, night)
    if error is not None:
        rejects = _rejects(job, tables, scored)
        replacement.write(failed, lambda file: write_frames(file, rejects, REJECT_COLUMNS, ".csv"))
        replacement.commit()
        raise error


def _rejects(job: BatchJob, tables: Tables, scored: Results) -> Iterator[pl.DataFrame]:
    return (job.plain(with_files(frame, *tables)) for frame in in_order(scored.rejects, "row"))


def _write(job: BatchJob, tables: Tables, scored: Results, scorer: Scorer, replacement: Replacement) -> dict[Path, str]:
    """Write rejects and decisions beside their targets; return their hashes."""
    rejects = _rejects(job, tables, scored)
    text = job.out.suffix.lower() == ".csv"
    shape = flat_reasons if text else pl.DataFrame.clone
    plain = job.plain if text else pl.DataFrame.clone
    decisions = (plain(shape(frame.drop(ROW))) for frame in in_order(scored.decisions, ROW))
    schema = shape(pl.DataFrame(schema=decision_schema(scorer.bundle.spec))).schema
    return {
        job.rejects_path: replacement.write(
            job.rejects_path, lambda file: write_frames(file, rejects, REJECT_COLUMNS, ".csv")
        ),
        job.out: replacement.write(job.out, lambda file: write_frames(file, decisions, schema, job.out.suffix)),
    }

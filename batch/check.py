"""`credit check`: what a run would make of two tables: the same reading and the same account, no model, no output."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from batch.inputs import open_inputs
from batch.joining import Joining, advise, look_at_join
from batch.night import Accepted, Night, Seen, judge_alone, judge_night, unusable_cells
from batch.partitions import PARTITION_BYTES, spread
from batch.report import Tables, by_count
from batch.score_partitions import Results, results, score_partitions
from features.cells import UNREADABLE
from features.cells.decimal_advice import decimal_advice
from features.dialect import Dialect
from features.matrix import build_features
from features.spec.contract import Spec
from scoring.bundle import Reference
from scoring.decisions import decision_schema
from scoring.scorer import Scored
from storage.room import room_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What to look at. `reference` is what a bundle froze of its training; `alone`: there is no bundle yet."""

    spec: Spec
    applications: Path
    events: Path | None
    accepted: Accepted
    reference: Reference | None = None
    alone: bool = False
    max_reject_share: float = 0.05
    threads: int = 1
    dialect: Dialect | None = None
    partition_bytes: int = PARTITION_BYTES


class Unscored:
    """Reads and accounts as the `Scorer` does; its decisions are empty rows."""

    def __init__(self, spec: Spec) -> None:
        """Take the contract."""
        self._spec = spec

    def score(self, applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
        """Account for every application.

        Raises:
            InputError: a table lacks a column or holds one of a type that cannot be read.

        """
        table = build_features(applications, events, self._spec)
        height, schema = len(table.matrix), decision_schema(self._spec)
        decisions = pl.DataFrame([pl.repeat(None, height, dtype=schema[n], eager=True).alias(n) for n in schema])
        return Scored(decisions, table.rejects, table.dirt, table.matrix, table.matches)


def check_tables(job: Check) -> dict[str, Any]:
    """Return what a run would find, for JSON; `exit_code` is 3 where it would leave the previous output.

    Raises:
        InputError: a file cannot be used.
        SettingsError: `accepted` names a column that the spec lacks, or events are needed and not given.
        DeliveryError: there is no room for the temporary files.

    """
    job.accepted.check(job.spec)
    with ExitStack() as resources:
        out = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="credit-check-"))) / "check.csv"
        tables = open_inputs(job.applications, job.events, job.spec, job.dialect)
        for table in tables:
            resources.enter_context(table)
        reader = Unscored(job.spec)
        room = room_of(None)
        partitions = resources.enter_context(spread(tables, reader, out, job.partition_bytes, room))
        scored = resources.enter_context(results(out, job.spec, room))
        score_partitions(partitions, reader, job.threads, scored)
        joining = look_at_join(partitions, job.spec)
        found = _account(job, tables, scored, joining, advise(partitions.first, scored, tables[0].rows))
        causes = unusable_cells(scored, job.spec)
        unreadable = {name: own.get(UNREADABLE, 0) for name, own in causes.items()}
        found["notes"] += decimal_advice(partitions.applications.read(0), job.spec, unreadable)
        return found


def _account(job: Check, tables: Tables, scored: Results, joining: Joining, advice: str) -> dict[str, Any]:
    seen = Seen(tables[1], scored, joining.text)
    night = (
        judge_alone(job.spec, seen, job.accepted)
        if job.alone
        else judge_night(job.spec, job.reference, seen, job.accepted)
    )
    night.advice = advice
    _judge_rejects(night, job, scored, tables[0].rows)
    return {
        "exit_code": 3 if night.refusals else 0,
        "applications": tables[0].rows,
        "rejected_applications": scored.rejected,
        "events": tables[1].rows,
        "rejects_by_code": by_count(scored.codes),
        "matches": night.matches,
        "columns": _columns(job, scored),
        "join": joining.document() if job.spec.groups else None,
        "dates": list(joining.dates),
        "refusals": night.refusals,
        "notes": [*tables[0].notes, *tables[1].notes, *night.notes],
    }


def _judge_rejects(night: Night, job: Check, scored: Results, rows: int) -> None:
    if scored.rejected > job.max_reject_share * rows:
        causes = ", ".join(f"{code} {count:,}" for code, count in by_count(scored.codes).items())
        night.refusals.insert(
            0,
            f"{scored.rejected:,} of {rows:,} applications would be rejected ({scored.rejected / rows:.1%}), expected "
            f"at most {job.max_reject_share:.1%}: {causes}. {night.advice}".rstrip(),
        )


def _columns(job: Check, scored: Results) -> list[dict[str, Any]]:
    """Lay out each attribute: share of usable cells tonight and at training, and the unusable ones by cause."""
    frozen = {} if job.reference is None else {known.column: known for known in job.reference.health or ()}
    cells = scored.matches.applications
    columns = []
    for name, causes in unusable_cells(scored, job.spec).items():
        known = frozen.get(name)
        columns.append(
            {
                "column": name,
                "usable_share": 1 - sum(causes.values()) / cells if cells else None,
                "usable_share_at_training": 1 - sum(known.unusable.values()) / known.cells if known else None,
                "unusable": causes,
            }
        )
    return columns

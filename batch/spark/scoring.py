"""Tasks that score: each one bucket of customers, whose decisions and rejects it writes beside the output."""

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark import SparkFiles

from batch.partitions import ROW
from batch.score_partitions import PartitionCounts, score_rows
from batch.spark.crossing import Crossing, Kind, crossings, guarded
from batch.spark.stages import Stage
from features.errors import BundleError
from scoring.decisions import decision_schema
from scoring.scorer import Scorer
from storage.frames import packed, unpacked
from storage.table_writer import write_frames

_LAST = 1 << 62  # errors of scoring come behind those of reading


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """What a task needs beside its rows. `empty`: both tables without rows, packed; `repeated`: rows of repeated ids.

    `stage`: where its files go, hidden until the run is complete; `rights`: what is taken from those of new files.
    """

    bundle_id: str
    empty: dict[Kind, bytes]
    repeated: bytes
    stage: Stage
    rights: int

    def score(self, bucket: int, rows: list[Crossing]) -> Iterator[Crossing]:
        """Score the rows of a bucket, and yield its account."""
        applications, events = (self._table(kind, rows) for kind in (Kind.APPLICATIONS, Kind.EVENTS))
        scorer = _scorer(self.bundle_id)
        scored = score_rows(applications, events, unpacked(self.repeated)[ROW], scorer).scored
        schema = decision_schema(scorer.bundle.spec)
        decisions = scored.decisions.sort(ROW).drop(ROW)
        os.umask(self.rights)
        account: dict[str, Any] = {"counts": PartitionCounts.of(scored).document(), "files": {}}
        account |= {"applications": applications.height, "events": events.height}
        write = {
            "part": (".parquet", decisions, lambda file: write_frames(file, iter([decisions]), schema, ".parquet")),
            "rejects": (".arrow", scored.rejects, lambda file: file.write(packed(scored.rejects, "lz4"))),
        }
        for name, (suffix, frame, produce) in write.items():
            if frame.height:
                own = f"{name}-{bucket:05}-{secrets.token_hex(4)}{suffix}"
                digest, size = self.stage.write(own, produce)
                account["files"][name] = {"name": own, "rows": frame.height, "size": size, "sha256": digest}
        yield Crossing.of_document(bucket, Kind.SCORED, bucket, account)

    def _table(self, kind: Kind, rows: list[Crossing]) -> pl.DataFrame:
        found = sorted((row for row in rows if row.kind is kind), key=lambda row: row.number)
        return pl.concat([unpacked(self.empty[kind]), *[row.frame() for row in found]])


def score_bucket(task: ScoreTask, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Score the bucket that a task is given; accounts pass through.

    A bucket to which it was told that a piece could not be read is not scored: the run is over.
    """
    rows: list[Crossing] = []
    told: list[Crossing] = []
    for row in crossings(batches):
        (rows if row.kind in task.empty else told).append(row)
    yield from (row.batch() for row in told)
    if rows and not any(row.kind is Kind.FAILED for row in told):
        bucket = rows[0].bucket
        for row in guarded(partial(task.score, bucket, rows), [bucket], _LAST):
            yield row.batch()


@cache  # one for each Python worker, which scores the golden rows as it is made
def _scorer(bundle_id: str) -> Scorer:
    scorer = Scorer.open(Path(SparkFiles.get(bundle_id)))
    if scorer.bundle.bundle_id != bundle_id:
        raise BundleError(f"the bundle on this machine is {scorer.bundle.bundle_id}, expected {bundle_id}.")
    return scorer

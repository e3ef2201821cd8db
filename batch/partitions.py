"""Both tables cut by customer: a customer's applications and events always lie in the same partition.

What is computed for an application depends on its own customer alone, so partitions are scored one by one, in any
order. They lie in memory as far as there is room and else on disk, so tables may be larger than memory. A small input
is one partition.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from features.applications import identifier
from features.rejects import APPLICATIONS, EVENTS
from scoring.scorer import Scored
from storage.buckets import buckets
from storage.room import Room
from storage.spool import Spool
from storage.tables import SourceTable

ROW = "|row"  # 1-based row of the table; no column of a spec can have this name
PARTITION_BYTES = 64 << 20
_APPLICATION_WEIGHT = 4  # cleaning attributes takes about four times the room of cleaning events


class Scores(Protocol):
    """What partitions are given to: the `Scorer`, or what only reads as it does."""

    def score(self, applications: pl.DataFrame, events: pl.DataFrame) -> Scored:
        """Account for every application, as `Scorer.score` does."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """`applications` and `events` by partition, with their rows; `repeated`: rows whose application_id is not alone."""

    count: int
    applications: Spool
    events: Spool
    repeated: pl.Series

    def first(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return applications and events to look at: those of the first partition.

        Raises:
            DeliveryError: the temporary files cannot be read.

        """
        return self.applications.read(0), self.events.read(0)


@contextmanager
def spread(
    tables: tuple[SourceTable, SourceTable], scorer: Scores, out: Path, partition_bytes: int, room: Room
) -> Iterator[Partitions]:
    """Read both tables once, cut them, and keep them within the block: in memory as far as there is `room`.

    Raises:
        InputError: a table cannot be used.
        DeliveryError: there is no room for the temporary files beside the output `out`.

    """
    applications, events = tables
    estimated = _APPLICATION_WEIGHT * applications.estimated_bytes() + events.estimated_bytes()
    count = -(-estimated // partition_bytes) or 1
    blocks = {APPLICATIONS: applications.blocks(), EVENTS: events.blocks()}
    empty = {name: next(its) for name, its in blocks.items()}
    scorer.score(empty[APPLICATIONS], empty[EVENTS])  # columns that lack or cannot be read end the run here
    with ExitStack() as resources:
        numbered = {name: numbered_from(frame, 0) for name, frame in empty.items()}
        spools = {name: resources.enter_context(Spool(out, frame, room)) for name, frame in numbered.items()}
        identifiers = resources.enter_context(Spool(out, identifiers_of(numbered[APPLICATIONS]), room))
        for name, its in blocks.items():
            _keep(its, lambda block, name=name: _add(block, name, spools[name], identifiers, count))  # type: ignore[misc]
        yield Partitions(count, spools[APPLICATIONS], spools[EVENTS], _repeated(identifiers))


def _keep(blocks: Iterator[pl.DataFrame], add: Callable[[pl.DataFrame], None]) -> None:
    """Number all rows and add them, each block while the next one is read."""
    rows = 0
    with ThreadPoolExecutor(1) as writer:
        adding = writer.submit(lambda: None)
        for block in blocks:
            numbered = numbered_from(block, rows)
            rows += block.height
            adding.result()
            adding = writer.submit(add, numbered)
        adding.result()


def _add(numbered: pl.DataFrame, name: str, spool: Spool, identifiers: Spool, count: int) -> None:
    spool.add(by_key(numbered, name, "customer_id", count))
    if name == APPLICATIONS:
        identifiers.add(by_key(identifiers_of(numbered), name, "application_id", count))


def numbered_from(block: pl.DataFrame, before: int) -> pl.DataFrame:
    """Number the rows of a block, before which so many were read."""
    rows = pl.int_range(before + 1, before + 1 + block.height, dtype=pl.Int64, eager=True)
    return block.hstack([rows.alias(ROW)])


def identifiers_of(numbered: pl.DataFrame) -> pl.DataFrame:
    """Return row and application_id of those that have one."""
    text = identifier(numbered.schema, APPLICATIONS, "application_id")
    return numbered.select(ROW, text).filter(pl.col("application_id") != "")


def by_key(frame: pl.DataFrame, table: str, column: str, count: int) -> dict[int, pl.DataFrame]:
    """Cut by the identifier in `column`; rows without one go anywhere, so that many of them do not meet."""
    if count == 1:
        return {0: frame}
    text = frame.select(identifier(frame.schema, table, column)).to_series()
    key = buckets(text, count)
    blank = (text.str.len_bytes() == 0).fill_null(value=True).to_numpy()
    if blank.any():
        key = np.where(blank, frame[ROW].to_numpy().astype(np.uint64) % np.uint64(count), key)
    small = key.astype(np.min_scalar_type(count))  # sorted by counting
    ordered, rows = frame[np.argsort(small, kind="stable")], np.bincount(small)
    starts = np.cumsum(rows) - rows
    return {int(number): ordered.slice(int(starts[number]), int(rows[number])) for number in np.flatnonzero(rows)}


def _repeated(identifiers: Spool) -> pl.Series:
    found = [repeated_rows(identifiers.read(key)) for key in identifiers.keys()]  # noqa: SIM118 - no mapping
    return pl.concat([pl.Series(ROW, [], dtype=pl.Int64), *found])


def repeated_rows(identifiers: pl.DataFrame) -> pl.Series:
    """Return the rows whose application_id is not alone, of identifiers all rows of each of which are there."""
    return identifiers.filter(pl.col("application_id").is_duplicated())[ROW]

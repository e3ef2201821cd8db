"""Tasks that read: each one piece of a table, strictly, by the reader of `credit score`, and cut by customer."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa

from batch.partitions import by_key, identifiers_of, numbered_from, repeated_rows
from batch.spark.crossing import Crossing, Kind, crossings, guarded, row_number
from features.dialect import Dialect
from features.rejects import APPLICATIONS
from storage.tables import Part, SourceTable

_KINDS = {"applications": Kind.APPLICATIONS, "events": Kind.EVENTS}


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table as the driver found it: its files, and the columns that all of them must have."""

    path: Path
    name: str
    known: Collection[str]
    dialect: Dialect
    parts: list[Part]
    columns: dict[str, str]

    @classmethod
    def of(cls, table: SourceTable) -> "SharedTable":
        """Describe a table that was opened."""
        known = frozenset(table.known or ())
        return cls(table.path, table.name, known, table.dialect, list(table.parts), dict(table.columns))

    def table(self, *, ids_alone: bool = False) -> SourceTable:
        """Return the table, to be read by another process."""
        known = {"application_id"} if ids_alone else self.known
        return SourceTable(self.path, self.name, known, dialect=self.dialect, parts=self.parts, columns=self.columns)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What is to be read: a piece is one file, numbered through all tables, applications first."""

    sources: tuple[SharedTable, ...]
    buckets: int

    def __len__(self) -> int:
        """Return the number of pieces."""
        return sum(len(source.parts) for source in self.sources)

    def place(self, piece: int) -> tuple[SharedTable, int]:
        """Return where a piece lies: its table, and the number of the file in it."""
        for source in self.sources:
            if piece < len(source.parts):
                return source, piece
            piece -= len(source.parts)
        raise IndexError

    def read(self, piece: int, *, ids_alone: bool) -> Iterator[Crossing]:
        """Yield what one piece holds, cut, then its account."""
        source, number = self.place(piece)
        rows = 0
        with ExitStack() as resources:
            table = resources.enter_context(source.table(ids_alone=ids_alone))
            for block in table.blocks_of(number):
                numbered = numbered_from(block, row_number(piece, rows))
                if block.height:
                    yield from self._identifiers(numbered) if ids_alone else self._cut(numbered, source.name)
                rows += block.height
        yield Crossing.of_document(piece % self.buckets, Kind.READ, piece, table.told())

    def _cut(self, numbered: pl.DataFrame, name: str) -> Iterator[Crossing]:
        for bucket, part in by_key(numbered, name, "customer_id", self.buckets).items():
            yield Crossing.of_frame(bucket, _KINDS[name], _first_row(part), part)

    def _identifiers(self, numbered: pl.DataFrame) -> Iterator[Crossing]:
        for bucket, part in by_key(identifiers_of(numbered), APPLICATIONS, "application_id", self.buckets).items():
            yield Crossing.of_frame(bucket, Kind.IDENTIFIERS, _first_row(part), part)


def _first_row(part: pl.DataFrame) -> int:
    return int(part["|row"][0]) if part.height else 0


def read_pieces(pieces: Pieces, batches: Iterable[pa.RecordBatch], *, ids_alone: bool) -> Iterator[pa.RecordBatch]:
    """Read the pieces whose numbers a task is given; what is wrong with one is told to all buckets."""
    for batch in batches:
        for piece in batch.column(0).to_pylist():
            work = partial(pieces.read, piece, ids_alone=ids_alone)
            for row in guarded(work, range(pieces.buckets), piece):
                yield row.batch()


def find_repeated(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a bucket of identifiers that are not alone; accounts and errors pass through."""
    identifiers = []
    for row in crossings(batches):
        if row.kind is Kind.IDENTIFIERS:
            identifiers.append(row.frame())
        else:
            yield row.batch()
    if identifiers:
        repeated = repeated_rows(pl.concat(identifiers))
        yield Crossing.of_frame(0, Kind.REPEATED, 0, repeated.to_frame()).batch()

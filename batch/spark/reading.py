"""Tasks that read: each one piece of a table, strictly, by the reader of `credit score`, and cut by customer."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa

from batch.partitions import ROW, by_key, identifiers_of, numbered_from, repeated_rows
from batch.spark.crossing import Crossing, Kind, crossings, guarded, row_number
from batch.spark.stages import room_of_executor
from features.dialect import Dialect
from features.rejects import APPLICATIONS
from storage.opened import changed
from storage.remote.fetching import Brought
from storage.tables import AnySpan, Part, SourceTable

_KINDS = {"applications": Kind.APPLICATIONS, "events": Kind.EVENTS}


@dataclass(frozen=True, slots=True)
class Piece:
    """What one task reads: a file, or a span of it. `stamp`: size and time of the file when the run began."""

    file: int
    stamp: list[object]
    span: AnySpan | None = None


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table as the driver found it: its files, the columns that all of them must have, and the pieces to read.

    `origin`: where its files come from, which each machine brings as it reads them.
    """

    path: Path
    name: str
    known: Collection[str]
    dialect: Dialect
    parts: list[Part]
    columns: dict[str, str]
    pieces: list[Piece]
    origin: Brought

    @classmethod
    def of(cls, table: SourceTable) -> "SharedTable":
        """Describe a table that was opened, before it is known what a piece is."""
        known = frozenset(table.known or ())
        parts, columns = list(table.parts), dict(table.columns)
        return cls(table.path, table.name, known, table.dialect, parts, columns, [], table.brought)

    def table(self, *, ids_alone: bool = False) -> SourceTable:
        """Return the table, to be read by another process."""
        known = {"application_id"} if ids_alone else self.known
        return SourceTable(
            self.path,
            self.name,
            known,
            dialect=self.dialect,
            parts=self.parts,
            columns=self.columns,
            origin=self.origin,
            around=room_of_executor(),
        )

    def check_unchanged(self, piece: Piece) -> None:
        """Check that a file is still what it was when the run began: its other pieces may have been read then.

        Raises:
            InputError: it is not.

        """
        path = self.parts[piece.file].path
        if self.origin.stamp(path) != piece.stamp:
            raise changed(path)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What is to be read: the pieces of all tables, numbered through, applications first."""

    tables: tuple[SharedTable, ...]
    buckets: int

    def __len__(self) -> int:
        """Return the number of pieces."""
        return sum(len(table.pieces) for table in self.tables)

    def place(self, number: int) -> tuple[SharedTable, Piece]:
        """Return the piece of this number, and its table."""
        for table in self.tables:
            if number < len(table.pieces):
                return table, table.pieces[number]
            number -= len(table.pieces)
        raise IndexError

    def read(self, number: int, *, ids_alone: bool) -> Iterator[Crossing]:
        """Yield what one piece holds, cut, then its account."""
        shared, piece = self.place(number)
        rows = 0
        with ExitStack() as resources:
            table = resources.enter_context(shared.table(ids_alone=ids_alone))
            for block in table.blocks_of(piece.file, piece.span):
                numbered = numbered_from(block, row_number(number, rows))
                if block.height:
                    yield from self._identifiers(numbered) if ids_alone else self._cut(numbered, shared.name)
                rows += block.height
        shared.check_unchanged(piece)
        yield Crossing.of_document(number % self.buckets, Kind.READ, number, table.told())

    def _cut(self, numbered: pl.DataFrame, name: str) -> Iterator[Crossing]:
        for bucket, part in by_key(numbered, name, "customer_id", self.buckets).items():
            yield Crossing.of_frame(bucket, _KINDS[name], _first_row(part), part)

    def _identifiers(self, numbered: pl.DataFrame) -> Iterator[Crossing]:
        for bucket, part in by_key(identifiers_of(numbered), APPLICATIONS, "application_id", self.buckets).items():
            yield Crossing.of_frame(bucket, Kind.IDENTIFIERS, _first_row(part), part)


def _first_row(part: pl.DataFrame) -> int:
    return int(part[ROW][0]) if part.height else 0


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

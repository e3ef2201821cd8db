"""What is a piece of a table: a small file, or a span of a large one, so that several tasks read it.

Parquet files say how many rows they hold. CSV files are looked through by tasks first, see `storage.tables.csv_cuts`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from batch.spark.crossing import Crossing, Kind, crossings, guarded, raise_first
from batch.spark.reading import Piece, SharedTable
from storage.tables import AnySpan, CsvChunk, SourceTable, spans

RunTasks = Callable[[int, Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]], list[Crossing]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a CSV file that are looked through by one task."""

    table: SharedTable
    file: int
    start: int
    end: int

    def look(self, number: int) -> Iterator[Crossing]:
        """Look through it."""
        with self.table.table() as table:
            found = table.look_for_cuts(self.file, self.start, self.end)
        yield Crossing.of_document(0, Kind.LOOKED, number, asdict(found))


def look_through(chunks: list[Chunk], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Look through the chunks whose numbers a task is given."""
    for batch in batches:
        for number in batch.column(0).to_pylist():
            for row in guarded(partial(chunks[number].look, number), [0], number):
                yield row.batch()


def cut(tables: list[SourceTable], piece_bytes: int, run: RunTasks) -> tuple[SharedTable, ...]:
    """Describe tables that were opened; files of more than `piece_bytes` are read by several tasks.

    Raises:
        InputError: a file cannot be read.

    """
    shared = [SharedTable.of(table) for table in tables]
    chunks = [
        Chunk(described, file, start, min(start + piece_bytes, size))
        for table, described in zip(tables, shared, strict=True)
        for file, size in enumerate(_sizes(table))
        if size > piece_bytes and table.may_be_cut(file)
        for start in range(0, size, piece_bytes)
    ]
    found: dict[tuple[str, int], list[CsvChunk]] = defaultdict(list)
    if chunks:
        rows = run(len(chunks), partial(look_through, chunks))
        raise_first(rows)
        for row in sorted(rows, key=lambda row: row.number):
            found[chunks[row.number].table.name, chunks[row.number].file].append(_chunk(row.document()))
    return tuple(
        replace(described, pieces=list(_pieces(table, piece_bytes, found)))
        for table, described in zip(tables, shared, strict=True)
    )


def rows_of(run: Any) -> list[Crossing]:
    """Return all rows of a frame of Spark."""
    return list(crossings(run.toArrow().to_batches()))


def _chunk(document: dict[str, Any]) -> CsvChunk:
    even, odd = (place and (place[0], place[1]) for place in document["places"])
    return CsvChunk(document["start"], document["quotes"], document["lines"], (even, odd))


def _sizes(table: SourceTable) -> list[int]:
    return [part.path.stat().st_size for part in table.parts]


def _pieces(table: SourceTable, piece_bytes: int, found: dict[tuple[str, int], list[CsvChunk]]) -> Iterator[Piece]:
    for file, size in enumerate(_sizes(table)):
        stamp = table.brought.stamp(table.parts[file].path)
        chunks = found.get((table.name, file))
        cuts: list[AnySpan | None] = [*spans(chunks, size)] if chunks else _row_spans(table, file, size, piece_bytes)
        yield from (Piece(file, stamp, span) for span in cuts)


def _row_spans(table: SourceTable, file: int, size: int, piece_bytes: int) -> list[AnySpan | None]:
    count = -(-size // piece_bytes)
    rows = table.rows_of(file) if count > 1 else None
    if not rows:
        return [None]
    height = -(-rows // count)
    return [(first, min(height, rows - first)) for first in range(0, rows, height)]

"""What Spark carries: few large cells of bytes, which it does not look into.

A row is (bucket, kind, number, content). Customers are cut into buckets, as `batch.partitions` does; a row goes to the
task of its bucket. Tables cross as `storage.frames` packs them, accounts and errors as JSON.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import polars as pl
import pyarrow as pa

from features.errors import BundleError, CreditError, DeliveryError, InputError, SettingsError
from storage.frames import packed, unpacked

SCHEMA = "bucket int, kind int, number bigint, content binary"
_ARROW = pa.schema([("bucket", pa.int32()), ("kind", pa.int32()), ("number", pa.int64()), ("content", pa.binary())])
_ERRORS = {kind.__name__: kind for kind in (InputError, BundleError, SettingsError, CreditError)}
_PIECE_BITS = 40  # of a row's number: the row in its piece; above them, the number of the piece


class Kind(IntEnum):
    """What the content of a row is."""

    APPLICATIONS = 0
    EVENTS = 1
    IDENTIFIERS = 2
    READ = 3  # the account of a piece that was read
    REPEATED = 4
    SCORED = 5  # the account of a bucket that was scored
    FAILED = 6
    LOOKED = 7  # what was found in a chunk of a CSV file


@dataclass(frozen=True, slots=True)
class Crossing:
    """One row. `number`: of the first row of a table within, of the piece, or of the bucket."""

    bucket: int
    kind: Kind
    number: int
    content: bytes

    @classmethod
    def of_frame(cls, bucket: int, kind: Kind, number: int, frame: pl.DataFrame) -> "Crossing":
        """Pack a frame."""
        return cls(bucket, kind, number, packed(frame, "lz4"))

    @classmethod
    def of_document(cls, bucket: int, kind: Kind, number: int, document: Any) -> "Crossing":
        """Write JSON."""
        return cls(bucket, kind, number, json.dumps(document).encode())

    def frame(self) -> pl.DataFrame:
        """Return the frame that was packed."""
        return unpacked(self.content)

    def document(self) -> Any:
        """Read the JSON."""
        return json.loads(self.content)

    def batch(self) -> pa.RecordBatch:
        """Return the row as Spark takes it: a batch of its own, so that no batch is large."""
        cells = ([self.bucket], [int(self.kind)], [self.number], [self.content])
        return pa.RecordBatch.from_arrays(
            [pa.array(c, f.type) for c, f in zip(cells, _ARROW, strict=True)], schema=_ARROW
        )


def crossings(batches: Iterable[pa.RecordBatch]) -> Iterator[Crossing]:
    """Yield the rows that Spark gives to a task."""
    for batch in batches:
        for bucket, kind, number, content in zip(*(batch.column(i) for i in range(4)), strict=True):
            yield Crossing(bucket.as_py(), Kind(kind.as_py()), number.as_py(), content.as_py())


def row_number(piece: int, row: int) -> int:
    """Return the number of a row of a piece: it grows in the order of the input, and is known before all is read."""
    return (piece << _PIECE_BITS) + row


def input_rows(numbers: pl.Series, before: list[int]) -> pl.Series:
    """Turn numbers of rows into 1-based rows of the table, of which so many lie `before` each piece; null stays."""
    piece, row = numbers // (1 << _PIECE_BITS), numbers % (1 << _PIECE_BITS)
    return row + pl.Series(before, dtype=pl.Int64).gather(piece)


def guarded(work: Callable[[], Iterator[Crossing]], buckets: Iterable[int], number: int) -> Iterator[Crossing]:
    """Do the work of a task; what a person must correct becomes a row for each bucket, and the task is not retried.

    An output that fails is none of it: another machine may succeed.
    """
    try:
        yield from work()
    except DeliveryError:
        raise
    except CreditError as error:
        name = next(name for name, kind in _ERRORS.items() if isinstance(error, kind))
        yield from (Crossing.of_document(b, Kind.FAILED, number, {"error": name, "text": str(error)}) for b in buckets)
    except pl.exceptions.PolarsError as error:  # its text may hold cells
        text = f"a column holds what cannot be computed with ({type(error).__name__}). Check its cells."
        yield from (
            Crossing.of_document(b, Kind.FAILED, number, {"error": "InputError", "text": text}) for b in buckets
        )


def raise_first(rows: Iterable[Crossing]) -> None:
    """Raise the error of the first piece that failed, if one did.

    Raises:
        CreditError: so, of the class that it had in its task.

    """
    failed = min((row for row in rows if row.kind is Kind.FAILED), key=lambda row: row.number, default=None)
    if failed is not None:
        document = failed.document()
        raise _ERRORS[document["error"]](document["text"])

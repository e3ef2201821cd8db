"""The index of a segment: where a decision, an application or a customer is, without reading the segment.

For each of three id columns the numbers `CRC-32 of the id << 32 | position of the row`, sorted, uint64 little-endian,
one column behind the other. A hit is a candidate; the row itself is compared.
"""

import mmap
import os
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

COLUMNS = ("decision_id", "application_id", "customer_id")
_POSITIONS = 32
_LAST = (1 << _POSITIONS) - 1


def make_index(receipts: pl.DataFrame) -> bytes:
    """Return the index of the rows of a segment, in their order."""
    positions = np.arange(receipts.height, dtype=np.uint64)
    parts = []
    for column in COLUMNS:
        ids = receipts[column].cast(pl.Binary).to_list()
        codes = np.fromiter(map(crc32, ids), dtype=np.uint64, count=len(ids))
        parts.append(np.sort((codes << np.uint64(_POSITIONS)) | positions))
    return np.concatenate(parts).astype("<u8").tobytes()


def index_size(rows: int) -> int:
    """Return how many bytes the index of so many rows has."""
    return 8 * len(COLUMNS) * rows


def candidates(path: Path, column: str, value: str) -> list[int]:
    """Return the positions of rows whose id in `column` may be `value`, in order."""
    keys = _keys(path, column)
    code = crc32(value.encode())
    start = np.searchsorted(keys, np.uint64(code << _POSITIONS))
    end = np.searchsorted(keys, np.uint64((code << _POSITIONS) | _LAST), side="right")
    return sorted((keys[start:end] & np.uint64(_LAST)).tolist())


def _keys(path: Path, column: str) -> NDArray[np.uint64]:
    with path.open("rb") as file:
        rows = os.fstat(file.fileno()).st_size // index_size(1)
        if not rows:
            return np.empty(0, dtype=np.uint64)
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # a search reads a few pages of it
    return np.frombuffer(content, dtype="<u8", count=rows, offset=8 * rows * COLUMNS.index(column))

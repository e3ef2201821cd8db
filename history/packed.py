"""Events of a customer as chunks of bytes, so that an append writes a page and not the whole customer.

A chunk holds events of one partition: a header with the partition, the first offset and whether times of recording are
there; then 24 bytes an event (32 with them). It stays below half a page of LMDB.
"""

import struct
from collections.abc import Iterable, Iterator

import numpy as np

from history.records import NEVER, RECORD, Records

MOST_BYTES = 1_960
_FEW = 16
_HEADER = struct.Struct("<iqB")
_PLAIN = np.dtype([("occurred_at", "<i8"), ("amount", "<i8"), ("delta", "<u4"), ("kind", "<u2"), ("spare", "<u2")])
_LATE = np.dtype([*_PLAIN.descr, ("recorded_at", "<i8")])
_PLAIN_ROW, _LATE_ROW = struct.Struct("<qqIHH"), struct.Struct("<qqIHHq")  # the same, for few
_COMMON = ("occurred_at", "amount", "kind")
_MOST_DELTA = 2**32


def pack(records: Records) -> Iterator[bytes]:
    """Yield the chunks of records in their order."""
    rest = records
    while len(rest):
        whole = _few(rest)
        if whole is not None:
            yield whole
            return
        late = bool((rest["recorded_at"][: MOST_BYTES // _PLAIN.itemsize] != NEVER).any())
        dtype = _LATE if late else _PLAIN
        taken = rest[: (MOST_BYTES - _HEADER.size) // dtype.itemsize]
        partition, base = int(taken["partition"][0]), int(taken["offset"][0])
        delta = taken["offset"] - base
        fits = (taken["partition"] == partition) & (delta >= 0) & (delta < _MOST_DELTA)
        count = len(taken) if fits.all() else int(np.argmin(fits))
        yield _chunk(taken[:count], dtype)
        rest = rest[count:]


def _few(records: Records) -> bytes | None:
    """Return few records as one chunk, without the cost of columns; None where they are no few of one kind."""
    if len(records) > _FEW:
        return None
    late = bool((records["recorded_at"] != NEVER).any())
    return extended(_HEADER.pack(records["partition"][0], records["offset"][0], late), records)


def partition_of(chunk: bytes) -> int:
    """Return the partition of a chunk's events."""
    return int(_HEADER.unpack_from(chunk)[0])


def _chunk(records: Records, dtype: np.dtype[np.void]) -> bytes:
    packed = np.zeros(len(records), dtype)
    for name in (*_COMMON, *(["recorded_at"] if dtype is _LATE else [])):
        packed[name] = records[name]
    partition, base = int(records["partition"][0]), int(records["offset"][0])
    packed["delta"] = records["offset"] - base
    return _HEADER.pack(partition, base, dtype is _LATE) + packed.tobytes()


def extended(chunk: bytes, records: Records) -> bytes | None:
    """Return a chunk with few more records behind its own, None where they do not fit into it as it is."""
    partition, base, late = _HEADER.unpack_from(chunk)
    row = _LATE_ROW if late else _PLAIN_ROW
    if len(chunk) + len(records) * row.size > MOST_BYTES:
        return None
    added = []
    for own, offset, occurred_at, recorded_at, amount, kind in records.tolist():
        fits = own == partition and 0 <= offset - base < _MOST_DELTA
        if not fits or (recorded_at != NEVER and not late):
            return None
        cells = (occurred_at, amount, offset - base, kind, 0)
        added.append(row.pack(*cells, recorded_at) if late else row.pack(*cells))
    return chunk + b"".join(added)


def unpack(chunks: Iterable[bytes]) -> Records:
    """Return the records of chunks, in their order."""
    found = [_records(chunk) for chunk in chunks]
    if len(found) == 1:
        return found[0]
    return np.concatenate(found) if found else np.empty(0, RECORD)


def _records(chunk: bytes) -> Records:
    partition, base, late = _HEADER.unpack_from(chunk)
    packed = np.frombuffer(chunk, _LATE if late else _PLAIN, offset=_HEADER.size)
    records = np.empty(len(packed), RECORD)
    for name in _COMMON:
        records[name] = packed[name]
    records["partition"], records["offset"] = partition, base + packed["delta"].astype(np.int64)
    records["recorded_at"] = packed["recorded_at"] if late else NEVER
    return records

"""Events of a customer as chunks of bytes, so that an append writes a page and not the whole customer.

A chunk holds events of one partition: a header with the partition, the first offset and whether times of recording are
there; then 24 bytes an event (32 with them). It stays below half a page of LMDB.
"""

import struct
from collections.abc import Iterable, Iterator

import numpy as np

from history.records import NEVER, RECORD, Records

MOST_BYTES = 1_960
_HEADER = struct.Struct("<iqB")
_PLAIN = np.dtype([("occurred_at", "<i8"), ("amount", "<i8"), ("delta", "<u4"), ("kind", "<u2"), ("spare", "<u2")])
_LATE = np.dtype([*_PLAIN.descr, ("recorded_at", "<i8")])
_COMMON = ("occurred_at", "amount", "kind")
_MOST_DELTA = 2**32


def pack(records: Records) -> Iterator[bytes]:
    """Yield the chunks of records in their order."""
    rest = records
    while len(rest):
        late = bool((rest["recorded_at"][: MOST_BYTES // _PLAIN.itemsize] != NEVER).any())
        dtype = _LATE if late else _PLAIN
        taken = rest[: (MOST_BYTES - _HEADER.size) // dtype.itemsize]
        partition, base = int(taken["partition"][0]), int(taken["offset"][0])
        delta = taken["offset"] - base
        fits = (taken["partition"] == partition) & (delta >= 0) & (delta < _MOST_DELTA)
        count = len(taken) if fits.all() else int(np.argmin(fits))
        yield _chunk(taken[:count], dtype)
        rest = rest[count:]


def _chunk(records: Records, dtype: np.dtype[np.void]) -> bytes:
    packed = np.zeros(len(records), dtype)
    for name in (*_COMMON, *(["recorded_at"] if dtype is _LATE else [])):
        packed[name] = records[name]
    partition, base = int(records["partition"][0]), int(records["offset"][0])
    packed["delta"] = records["offset"] - base
    return _HEADER.pack(partition, base, dtype is _LATE) + packed.tobytes()


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

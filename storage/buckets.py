"""In which bucket an identifier lies: the same one in every version of every library, and on every machine."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["buckets"]

_WORD = 8
_HEAD = 32  # bytes from the beginning, and the last word, decide; those between, in a longer one, have no say
_ODD = [np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)]
_ODD += [np.uint64(0x27D4EB2F165667C5), np.uint64(0x85EBCA77C2B2AE63), np.uint64(0xFF51AFD7ED558CCD)]
_LENGTH, _TAIL = np.uint64(0xC4CEB9FE1A85EC53), np.uint64(0xD6E8FEB86659FD93)


def buckets(identifiers: pl.Series, count: int) -> NDArray[np.uint64]:
    """Return the number of the bucket, below `count`, of each identifier; any for none.

    It depends on the bytes of the identifier alone. They are read eight at a time as whole numbers, each of which
    counts with an odd factor of its place: a few passes over the column, and no work of Python for a row.
    """
    raw = identifiers.cast(pl.Binary)
    length = identifiers.str.len_bytes().fill_null(0).to_numpy()
    found = length * _LENGTH
    for number, start in enumerate(range(0, min(int(length.max(initial=0)) - _WORD + 1, _HEAD), _WORD)):
        found += _numbers(raw.bin.slice(start, _WORD)) * _ODD[number]
    found += _numbers(raw.bin.tail(_WORD)) * _TAIL
    short = length < _WORD
    if short.any():
        padded = raw + pl.Series([bytes(_WORD)])
        found += np.where(short, _numbers(padded.bin.slice(0, _WORD)), np.uint64(0)) * _ODD[-1]
    found ^= found >> np.uint64(32)
    found *= _ODD[0]
    return (found >> np.uint64(32)) % np.uint64(count)


def _numbers(words: pl.Series) -> NDArray[np.uint64]:
    """Read words as whole numbers; 0 where one is too short to be one."""
    return words.bin.reinterpret(dtype=pl.UInt64, endianness="little").fill_null(0).to_numpy()

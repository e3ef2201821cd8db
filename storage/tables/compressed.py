"""The content of a compressed file, piece by piece, so that a few bytes that hold very many never fill the memory.

A file may hold several members behind one another, as `cat a.gz b.gz` makes them. One that ends within a member, or
holds something else behind the last, is refused: it was cut, or is not what its name says.
"""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, cast

from features.errors import InputError


class _Member(Protocol):
    """What decompresses one member. It keeps what it was given until it is asked for more: `needs_input`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        found = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(found) < max_length
        return found


def _zstd() -> tuple[Callable[[], _Member], type[Exception]]:
    """Load the library only where a file needs it; from Python 3.14 on it is Python's own."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415 - where a file needs it
    return cast("Callable[[], _Member]", zstd.ZstdDecompressor), zstd.ZstdError


_FORMATS: dict[str, Callable[[], tuple[Callable[[], _Member], type[Exception]]]] = {
    ".gz": lambda: (_Gzip, zlib.error),
    ".zst": _zstd,
}
COMPRESSED = tuple(_FORMATS)
READ_BYTES = 1 << 16  # what is left behind each member is copied: a file of many tiny ones must not take for ever


def decompressed(chunks: Iterable[bytes], path: Path, most: int) -> Iterator[bytes]:
    """Yield what the bytes of the file `path` hold, at most `most` at a time; as they are if it is not compressed.

    Raises:
        InputError: the file is cut, damaged, or has something behind its end.

    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        yield from chunks
        return
    begin, damage = _FORMATS[suffix]()
    try:
        yield from _members(chunks, begin, path, most)
    except damage as error:
        raise InputError(
            f"{path}: is no {suffix} file, is damaged, or holds something behind its end. Copy or export it again."
        ) from error


def _members(chunks: Iterable[bytes], begin: Callable[[], _Member], path: Path, most: int) -> Iterator[bytes]:
    member, any_data = begin(), False
    for rest in chunks:
        any_data = True
        while True:
            if member.eof:
                rest = member.unused_data + rest  # noqa: PLW2901 - what is left of the chunk
                if not rest:
                    break
                member = begin()
            elif not rest and member.needs_input:
                break
            if piece := member.decompress(rest, most):
                yield piece
            rest = b""  # noqa: PLW2901
    if any_data and not member.eof:
        raise InputError(f"{path}: the compressed data ends too early, so the file was cut. Copy it again.")

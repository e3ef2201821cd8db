"""Where a large CSV file may be cut so that several processes read it, each a span of whole records.

A record ends at a line feed behind an even number of quotes. Chunks are looked at by themselves, at the same time; what
lies before a chunk decides which of its two candidates counts. A cut that were wrong, as in a file that is no proper
CSV, is never read wrongly: each span is checked as a file is, must begin and end with its records, and the first span
that is not so is refused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

_LOOK_BYTES = 1 << 20


class CsvSpan(NamedTuple):
    """Bytes of a file from a record's first to another's last, and the number of the line that it begins with."""

    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class CsvChunk:
    """What was found in a chunk that begins at `start`: quotes, lines, and two places where a record may begin.

    `places`: the first behind a line feed that follows an even, and an odd number of the chunk's quotes, each with the
    number of line feeds of the chunk before it; None where there is none.
    """

    start: int
    quotes: int
    lines: int
    places: tuple[tuple[int, int] | None, tuple[int, int] | None]

    @classmethod
    def of(cls, start: int, content: Iterable[bytes]) -> "CsvChunk":
        """Look at a chunk, piece by piece."""
        place, quotes, lines = start, 0, 0
        places: list[tuple[int, int] | None] = [None, None]
        for piece in content:
            if None in places:
                _find(piece, place, quotes, lines, places)
            place += len(piece)
            quotes, lines = quotes + piece.count(b'"'), lines + piece.count(b"\n")
        return cls(start, quotes, lines, (places[0], places[1]))


def _find(piece: bytes, start: int, quotes: int, lines: int, places: list[tuple[int, int] | None]) -> None:
    for offset in range(0, len(piece), _LOOK_BYTES):
        content = np.frombuffer(piece, dtype=np.uint8)[offset : offset + _LOOK_BYTES]
        feeds, marks = np.flatnonzero(content == ord("\n")), np.flatnonzero(content == ord('"'))
        odd = (quotes + np.searchsorted(marks, feeds)) % 2
        for parity in (0, 1):
            found = np.flatnonzero(odd == parity)[:1]
            if places[parity] is None and len(found):
                places[parity] = (start + offset + int(feeds[found[0]]) + 1, lines + int(found[0]) + 1)
        quotes, lines = quotes + len(marks), lines + len(feeds)


def spans(chunks: Iterable[CsvChunk], size: int) -> list[CsvSpan]:
    """Return the spans of a file of `size` bytes, of which all chunks are given in order."""
    begins = [(0, 1), *_begins(chunks, size), (size, 0)]
    return [CsvSpan(start, end, line) for (start, line), (end, _) in pairwise(begins)]


def _begins(chunks: Iterable[CsvChunk], size: int) -> Iterator[tuple[int, int]]:
    quotes, lines = 0, 1
    for chunk in chunks:
        place = chunk.places[quotes % 2]
        if chunk.start and place is not None and place[0] < size:
            yield place[0], lines + place[1]
        quotes, lines = quotes + chunk.quotes, lines + chunk.lines

"""What stands apart from a column's numbers: special codes and isolated impossible values, found in all rows.

A tail that runs on is never cut: trees read a missing cell as they please, and the far end is where the worst
applicants are. A value is a *special code* where it is repeated, has the form of one (-9, 98, 9999, 365243) and lies
beyond all other values with a gap. It is *isolated* where the tail below it, continued as it runs (Hill's estimator of
a power tail), would reach it less than once in ten thousand such files, it is 20 times as far from the median, and
there are five different ones at most: more of them are a tail of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_MOST_CODES = 12
_FEWEST_CELLS = 3
_NEIGHBOURS = 20
_CLEAR = 5  # times the largest step between the neighbours
_HEAVY = 20  # cells of a code so heavy that a smaller gap tells
_OFTEN = 5
_WIDE = 10  # numbers run at least so far where -1 next to 0 is a code
_TAIL_CELLS = 50
_TAIL_VALUES = 10
_FAR, _SIGNED = 20, 10
_RARELY = 1e-4
_MOST_ISOLATED = 0.02
_MOST_VALUES = 5  # more different ones beyond a gap are a tail of their own, which runs on
_KNOWN = {365243.0, 365250.0, 2147483647.0, 4294967295.0, 32767.0, 65535.0}


@dataclass(frozen=True, slots=True)
class Apart:
    """Values that are special codes, values that are impossible, and the least and largest of the rest."""

    codes: tuple[float, ...]
    isolated: tuple[float, ...]
    lowest: float
    highest: float

    @property
    def values(self) -> tuple[float, ...]:
        """All that stands apart."""
        return (*self.codes, *self.isolated)


def stands_apart(values: Floats, counts: Counts) -> Apart:
    """Tell the rest from what stands apart. `values`: different, finite and ascending; `counts`: their cells."""
    codes: list[float] = []
    isolated: list[float] = []
    while len(values) > 1:
        high = _codes_above(values, counts)
        low = _codes_above(-values[::-1], counts[::-1], below=True)
        if not high and not low:
            high = _isolated_above(values, counts)
            low = _isolated_above(-values[::-1], counts[::-1], below=True)
            found = isolated
            repeated = [count >= _OFTEN for count in (*counts[:low], *counts[len(counts) - high :])]
        else:
            found, repeated = codes, [True] * (high + low)
        if not high and not low:
            break
        cut = (*values[:low].tolist(), *values[len(values) - high :].tolist())
        for value, often in zip(cut, repeated, strict=True):
            (codes if often else found).append(value)
        values, counts = values[low : len(values) - high], counts[low : len(counts) - high]
    return Apart(tuple(sorted(codes)), tuple(sorted(isolated)), float(values[0]), float(values[-1]))


def _codes_above(values: Floats, counts: Counts, *, below: bool = False) -> int:
    """Count the values at the upper end that are special codes; `below`: the ends were exchanged, all signs too."""
    best = 0
    for number in range(1, min(_MOST_CODES, len(values) - 1) + 1):
        code = -values[-number] if below else values[-number]
        if not has_form(float(code)):
            break
        if _are_codes(values, counts, number, below=below):
            best = number
    return best


def has_form(value: float) -> bool:
    """Tell whether a number looks like a code: -1 to -9, 96 to 99, 888, 9999 and so on, of any length and sign."""
    if abs(value) in _KNOWN or value in (-2147483648.0, -32768.0) or (value == int(value) and -9 <= value < 0):
        return True
    digits = f"{abs(value):.2f}".rstrip("0").rstrip(".")
    whole = digits.replace(".", "")
    if len(whole) < 2 or whole[0] not in "789":
        return False
    return whole[:-1] == whole[0] * (len(whole) - 1) and (
        whole[-1] == whole[0] or (whole[0] == "9" and whole[-1] >= "6")
    )


def _are_codes(values: Floats, counts: Counts, number: int, *, below: bool) -> bool:
    """Tell whether the last `number` values, each of the form of a code, are repeated and lie beyond the rest."""
    rest, cells = values[:-number], int(counts[-number:].sum())
    gap = values[-number] - rest[-1]
    if cells < _FEWEST_CELLS:
        return False
    if below and values[-number] > 0 >= rest[-1]:  # the others are 0 or more: the sign alone sets these apart
        runs_on = gap <= 1 and rest[-1] == 0
        return not runs_on or (number == 1 and -rest[0] >= _WIDE)
    if below and values[-number] < 0 and len(rest) < _TAIL_VALUES:  # positive, and below few others
        return False
    near = rest[-_NEIGHBOURS:]
    step = float(np.diff(near).max()) if len(near) > 1 else 0.0
    heavy = cells >= _HEAVY and cells >= _CLEAR * int(counts[:-number][-_NEIGHBOURS // 4 :].max())
    return bool(gap > (1.5 if heavy else _CLEAR) * step)


def _isolated_above(values: Floats, counts: Counts, *, below: bool = False) -> int:
    """Count the few values at the upper end that the tail below them, as it runs, would not reach.

    `below` as in `_codes_above`: a repeated negative number among others that are 0 or more needs no look at a tail.
    """
    cells = int(counts.sum())
    median = float(values[np.searchsorted(np.cumsum(counts), cells / 2)])
    distance, beyond = values - median, 0
    for number in range(1, min(len(values), _MOST_VALUES + 1)):
        beyond += int(counts[-number])
        last = distance[-number - 1]
        signed = below and values[-number] > 0 >= values[-number - 1] and counts[-number] >= _OFTEN
        if last <= 0 or (beyond > max(_MOST_ISOLATED * cells, 1) and not signed):
            return 0
        if distance[-number] < (_SIGNED if signed else _FAR) * last:
            continue
        if signed or _never_reached(distance[:-number], counts[:-number], distance[-number]):
            return number
    return 0


def _never_reached(distance: Floats, counts: Counts, far: float) -> bool:
    """Continue the tail of the largest cells (50, of 10 values at least) to `far`: does it hardly get there?"""
    first = len(counts) - int(np.searchsorted(np.cumsum(counts[::-1]), _TAIL_CELLS)) - 1
    first = max(min(first, len(distance) - _TAIL_VALUES), int(np.argmax(distance > 0)))
    tail, cells = distance[first:], counts[first:]
    if len(tail) < _TAIL_VALUES:
        return False
    spread = float((cells * np.log(tail / tail[0])).sum()) / float(cells.sum())
    return bool(float(cells.sum()) * (far / tail[0]) ** (-1 / spread) < _RARELY)

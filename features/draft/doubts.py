"""Numbers that may be special codes and are kept, because nothing proves it: said, with the line that takes them out.

A number is *in doubt* where it has the form of a code (96 to 99, 999, 9999) and far more cells than its neighbours;
where it is repeated and lies beyond a gap as wide as the rest; where it is 7, 8 or 9 among others of 3 at most, or
beyond a gap among few of 6 at most; or
where few negative numbers of the form of a code stand below others that are 0 or more.
"""

import numpy as np

from features.draft.apart import Counts, Floats, has_form
from features.names import words

_FEWEST_CELLS = 20
_LEAST_SHARE = 0.005
_MASS = 10  # times the cells of any neighbour
_NEIGHBOURS = 10
_REPEATED = 5
_FEW_SIGNED = 3
_ANSWERS, _NO_ANSWER = 3, (7.0, 8.0, 9.0)
_GAP, _FEW_ANSWERS = 3, 7
_MOST = 6
_DATES = {"date", "dt", "dte", "datum", "fecha", "opened", "since", "day", "dat"}
_DAYS, _SECONDS, _MILLISECONDS = (3_000, 60_000), (9e7, 5e9), (9e10, 5e12)


def in_doubt(values: Floats, counts: Counts) -> tuple[float, ...]:
    """Return the numbers in doubt, at most six. `values`: what is kept, different and ascending; `counts`: cells."""
    if len(values) < 3:
        return ()
    found = {*_heavy_inside(values, counts), *_alone(values, counts), *_signed(values, counts)}
    found |= {*_answers(values, counts)}
    return tuple(sorted(found))[:_MOST]


def _heavy_inside(values: Floats, counts: Counts) -> list[float]:
    least = max(_FEWEST_CELLS, _LEAST_SHARE * counts.sum())
    heavy = np.flatnonzero(counts >= least)
    found = []
    for i in heavy:
        near = np.r_[counts[max(0, i - _NEIGHBOURS) : i], counts[i + 1 : i + 1 + _NEIGHBOURS]]
        if abs(values[i]) >= 10 and has_form(float(values[i])) and counts[i] > _MASS * near.max():
            found.append(float(values[i]))
    return found


def _alone(values: Floats, counts: Counts) -> list[float]:
    """Return a repeated value at an end that lies as far from the next as nine tenths of the rest run."""
    found = []
    for ends, cells in ((values, counts), (-values[::-1], counts[::-1])):
        shares = np.cumsum(cells[1:]) / cells[1:].sum()
        spread = ends[1 + np.searchsorted(shares, 0.95)] - ends[1 + np.searchsorted(shares, 0.05)]
        gap = ends[1] - ends[0]
        if len(ends) > _NEIGHBOURS and cells[0] >= _REPEATED and gap > spread > 0:
            found.append(float(values[0] if ends is values else values[-1]))
    return found


def _signed(values: Floats, counts: Counts) -> list[float]:
    below = values[values < 0]
    if not 0 < len(below) <= _FEW_SIGNED or len(values) - len(below) < _FEW_SIGNED:
        return []
    return below.tolist() if all(map(has_form, below.tolist())) and counts[: len(below)].min() > 1 else []


def _answers(values: Floats, counts: Counts) -> list[float]:
    """Return 7, 8 and 9 where they stand beside few other answers, with a gap if these go beyond 3."""
    given, repeated = values[~np.isin(values, _NO_ANSWER)], counts[np.isin(values, _NO_ANSWER)]
    high = [value for value in values.tolist() if value in _NO_ANSWER]
    if values[0] < 0 or not high or len(given) < 2 or given[-1] > _NO_ANSWER[0]:
        return []
    apart = high[0] - given[-1] >= _GAP and len(given) <= _FEW_ANSWERS and repeated.min() >= _REPEATED
    return high if given[-1] <= _ANSWERS or apart else []


def date_counts(name: str, values: Floats) -> str:
    """Say how to declare counts of days or seconds, if a name says a date and all numbers may count them; else ""."""
    said = words(name)
    dated = bool(_DATES & set(said)) or any(word.endswith(("date", "dt", "datum")) for word in said)
    if not dated or not len(values) or bool((values != np.floor(values)).any()):
        return ""
    forms = {_DAYS: "sas_days, epoch_days or excel_days", _SECONDS: "sas_seconds or epoch_seconds"}
    forms[_MILLISECONDS] = "epoch_milliseconds"
    for (low, high), listed in forms.items():
        if low <= values[0] and values[-1] <= high:
            return (
                "its name says a date, and its numbers are taken as they stand: if they count days or seconds, write "
                f'kind = "date" and format = one of {listed} instead of its range'
            )
    return ""

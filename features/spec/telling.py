"""Columns that tell the class by themselves: mostly ones that were written after the outcome was known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TELLING", "telling"]

TELLING = 0.98
FEWEST_ROWS = 50
_FOLDS = 5
_MOST_CODES = 1000
_MOST_NUMBERS = 50
_BINS = 200
_BIN_ROWS = 20


def telling(column: NDArray[Any], actual: NDArray[np.int64], customers: NDArray[np.int64]) -> float:
    """Return how well a column alone tells one class from the rest: the largest area under the curve, out of fold.

    `column`: numbers with NaN, or codes of texts (any integers) with -1 where missing; `actual`: class indices;
    `customers`: codes of customers, each of whom is in one fold. In four folds each value, or each of up to 200 bins
    of many values, gets the share of the class; the fifth is ranked by it. 0.5 where the rarer side has under 50 rows.
    """
    codes = _codes(column)
    folds = customers % _FOLDS
    cells = folds * (codes.max(initial=0) + 1) + codes
    size = int(_FOLDS * (codes.max(initial=0) + 1))
    all_rows = np.bincount(cells, minlength=size).reshape(_FOLDS, -1)
    best = 0.5
    for index in range(int(actual.max(initial=0)) + 1):
        own = np.bincount(cells[actual == index], minlength=size).reshape(_FOLDS, -1)
        if min(own.sum(), (all_rows - own).sum()) >= FEWEST_ROWS:
            best = max(best, _out_of_fold(own, all_rows))
    return best


def _codes(column: NDArray[Any]) -> NDArray[np.int64]:
    """Number the values from 0, missing ones too; many different numbers by bins of 20 rows or more, 200 at most."""
    found, codes = np.unique(column, return_inverse=True)
    numbers = found.dtype.kind == "f"
    if len(found) <= (_MOST_NUMBERS if numbers else _MOST_CODES):
        return codes.astype(np.int64)
    known = np.isfinite(found[codes]) if numbers else np.ones(len(codes), dtype=np.bool_)
    bins = min(_BINS, max(2, int(known.sum()) // _BIN_ROWS))
    edges = np.quantile(codes[known], np.linspace(0, 1, bins + 1)[1:-1])
    return np.where(known, np.searchsorted(edges, codes, side="right"), bins).astype(np.int64)


def _out_of_fold(own: NDArray[np.int64], all_rows: NDArray[np.int64]) -> float:
    """Rank each fold by the shares of the others; `own` and `all_rows` count rows by fold and value."""
    prior = own.sum() / all_rows.sum()
    elsewhere, known = own.sum(axis=0) - own, all_rows.sum(axis=0) - all_rows
    score = np.round((elsewhere + prior) / (known + 1), 12).ravel()
    inside, outside = own.ravel(), (all_rows - own).ravel()
    _, place = np.unique(score, return_inverse=True)
    positive, negative = np.bincount(place, weights=inside), np.bincount(place, weights=outside)
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))

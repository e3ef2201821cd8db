"""Matrices as a notebook may have had them instead of ours: sentinels for missing values, fills, other orders."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
_SENTINELS = (0, -1, -999, -9999, -99, -9, 9, 99, 999, 9999, 1)
_CONSTANTS = (0, -1, 1)
_FAR = np.float32(1e30)
_MOST_MOVED = 60  # features; beyond, only exchanges of neighbours are tried
_SWEEPS = 2

Other = tuple[str, Callable[[Matrix], Matrix]]  # what it is called, and how it is made of our matrix


def sentinels(_matrix: Matrix, _names: Sequence[str]) -> Iterator[Other]:
    """Yield inputs in which a value counts as missing, as with XGBoost's parameter `missing`."""
    for value in _SENTINELS:
        text = (
            f"missing = {value}. The notebook's model took {value} for missing, in our matrix it is a value, and "
            "missing is NaN. Train with missing = NaN on our matrix."
        )
        yield text, partial(_without, value=value)


def _without(matrix: Matrix, value: float) -> Matrix:
    return np.where(matrix == value, np.float32(np.nan), matrix)


def fills(matrix: Matrix, _names: Sequence[str]) -> Iterator[Other]:
    """Yield inputs whose missing values were filled in one way."""
    for name, values in _fill_values(matrix):
        text = f"the notebook filled missing values with {name}. Leave them missing (NaN), or train on filled columns."
        yield text, partial(_filled, values=values)


def _filled(matrix: Matrix, values: Matrix) -> Matrix:
    return np.where(np.isnan(matrix), values, matrix)


def _fill_values(matrix: Matrix) -> Iterator[tuple[str, Matrix]]:
    columns = matrix.shape[1]
    for value in _CONSTANTS:
        yield str(value), np.full(columns, value, dtype=np.float32)
    yield "a number below all others, such as -999", np.full(columns, -_FAR)
    yield "a number above all others, such as 9999", np.full(columns, _FAR)
    present = [column[~np.isnan(column)] for column in matrix.T]
    for name, function in (("the median", np.median), ("the mean", np.mean), ("the most frequent value", _mode)):
        yield f"{name} of the column", np.array([function(v) if len(v) else np.nan for v in present], np.float32)


def _mode(values: Matrix) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def mixed_fill(matrix: Matrix, names: Sequence[str], off: Callable[[Matrix], float]) -> tuple[str, Matrix]:
    """Fill each column in the way that brings the predictions nearest: `off` measures a matrix, 0 is best."""
    hole, best = np.isnan(matrix), matrix.copy()
    nearest, chosen = off(best), dict[int, str]()
    ways = list(_fill_values(matrix))
    for _ in range(_SWEEPS):
        for column in np.flatnonzero(hole.any(axis=0)):
            for name, values in ways:
                tried = best.copy()
                tried[hole[:, column], column] = values[column]
                distance = off(tried)
                if distance < nearest:
                    best, nearest, chosen[int(column)] = tried, distance, name
    said = ", ".join(f"{names[column]} with {name}" for column, name in list(chosen.items())[:4])
    more = f" and {len(chosen) - 4} more" if len(chosen) > 4 else ""
    return f"the notebook filled missing values: {said}{more}. Leave them missing (NaN).", best


def orders(_matrix: Matrix, names: Sequence[str]) -> Iterator[Other]:
    """Yield inputs with their columns in another order."""
    for how, order in _orders(names):
        text = (
            f"the order of the features. The notebook's matrix had its columns {how}. Keep the order that `credit "
            "features --out` writes, or give the booster its feature names, which are then checked."
        )
        yield text, partial(np.take, indices=order, axis=1)


def _orders(names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    same = list(range(len(names)))
    yield "sorted by name", sorted(same, key=lambda i: names[i])
    yield "sorted by name, without regard to case", sorted(same, key=lambda i: names[i].lower())
    yield "reversed", same[::-1]
    most = len(names) if len(names) <= _MOST_MOVED else 2
    for a in same:
        for b in same[a + 1 : a + most]:
            yield f"with {names[a]} and {names[b]} exchanged", [b if i == a else a if i == b else i for i in same]
    for a in same:
        for b in same[max(0, a - most) : a + most]:
            if abs(a - b) > 1:
                rest = [i for i in same if i != a]
                yield f"with {names[a]} moved to the place of {names[b]}", [*rest[:b], a, *rest[b:]]

"""Metrics as bare numbers, without intervals: for searches that ask for them many times."""

import numpy as np
from numpy.typing import NDArray

from metrics.intervals import Decided
from metrics.kinds import Asked, Floats
from metrics.table import named


def confusion_of(decided: Decided, inside: NDArray[np.bool_] | None = None) -> Floats:
    """Add the weights of applications (of the rows `inside`) up by actual and assigned class."""
    rows = slice(None) if inside is None else inside
    cells = decided.actual[rows] * decided.count + decided.assigned[rows]
    weights = None if decided.weights is None else decided.weights[rows]
    counts = np.bincount(cells, weights, minlength=decided.count**2)
    return np.asarray(counts.reshape(decided.count, decided.count), dtype=np.float64)


def value_of(name: str, decided: Decided, inside: NDArray[np.bool_] | None = None) -> float | None:
    """Return a metric of cells, of the best class where it is one of a class; None where it is not defined.

    Raises:
        ValueError: the metric is not one of cells, or needs costs and has none.

    """
    pair = named(name).cells(Asked(decided.count, costs=decided.costs))
    if pair is None:
        raise ValueError(f"{name} does not follow from decisions and what came true.")
    counts = confusion_of(decided, inside)
    part, whole = float((counts * pair[0]).sum()), float((counts * pair[1]).sum())
    return part / whole if whole > 0 else None

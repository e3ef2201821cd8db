"""Calibrated probabilities on a grid with counts of what came true: enough to judge another policy, no rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["expand"]

_STEPS = {2: 1000, 3: 50, 4: 20}
_FEWEST_STEPS = 10


def histogram(
    probabilities: NDArray[np.float32], actual: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Count applications by grid cell of their probabilities and by actual class.

    A cell is 1/1000 wide with two classes, 1/50 with three. `stated` are the mean probabilities of each cell, `counts`
    its applications by actual class; where applications have weights, sums of these, `weighted`.
    """
    classes = probabilities.shape[1]
    steps = _STEPS.get(classes, _FEWEST_STEPS)
    p = probabilities.astype(np.float64)
    cells, index = np.unique(np.floor(p * steps).astype(int), axis=0, return_inverse=True)
    index = index.ravel()
    own = np.ones(len(p)) if weights is None else weights
    sizes = np.bincount(index, own, minlength=len(cells))
    stated = np.stack([np.bincount(index, own * p[:, i], len(cells)) / sizes for i in range(classes)], axis=1)
    counts = np.bincount(index * classes + actual, weights, len(cells) * classes).reshape(-1, classes)
    found = {"steps": steps, "stated": np.round(stated, 5).tolist()}
    if weights is None:
        return {**found, "counts": counts.tolist()}
    return {**found, "counts": np.round(counts, 6).tolist(), "weighted": True}


def expand(cells: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64] | None]:
    """Return the histogram's applications as probabilities, actual classes and weights, in the order of the cells.

    Where they had weights, a cell's applications of a class are one; else the weights are None.
    """
    stated, counts = np.array(cells["stated"], dtype=np.float32), np.array(cells["counts"])
    classes = np.tile(np.arange(counts.shape[1]), len(counts))
    times = (counts > 0).astype(np.int64) if cells.get("weighted") else counts.astype(np.int64)
    rows = np.repeat(stated, times.sum(axis=1), axis=0), np.repeat(classes, times.ravel())
    return *rows, counts[counts > 0].astype(np.float64) if cells.get("weighted") else None

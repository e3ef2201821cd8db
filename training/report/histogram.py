"""Calibrated probabilities on a grid with counts of what came true: enough to judge another policy, no rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEPS = {2: 1000, 3: 50, 4: 20}
_FEWEST_STEPS = 10


def histogram(probabilities: NDArray[np.float32], actual: NDArray[np.int64]) -> dict[str, Any]:
    """Count applications by grid cell of their probabilities and by actual class.

    A cell is 1/1000 wide with two classes, 1/50 with three. `stated` are the mean probabilities of each cell, `counts`
    its applications by actual class.
    """
    classes = probabilities.shape[1]
    steps = _STEPS.get(classes, _FEWEST_STEPS)
    p = probabilities.astype(np.float64)
    cells, index = np.unique(np.floor(p * steps).astype(int), axis=0, return_inverse=True)
    index = index.ravel()
    sizes = np.bincount(index, minlength=len(cells))
    stated = np.stack([np.bincount(index, p[:, i], len(cells)) / sizes for i in range(classes)], axis=1)
    counts = np.stack([np.bincount(index[actual == i], minlength=len(cells)) for i in range(classes)], axis=1)
    return {"steps": steps, "stated": np.round(stated, 5).tolist(), "counts": counts.tolist()}


def expand(cells: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the histogram's applications as probabilities and actual classes, in the order of the cells."""
    stated, counts = np.array(cells["stated"], dtype=np.float32), np.array(cells["counts"], dtype=np.int64)
    classes = np.tile(np.arange(counts.shape[1]), len(counts))
    return np.repeat(stated, counts.sum(axis=1), axis=0), np.repeat(classes, counts.ravel())

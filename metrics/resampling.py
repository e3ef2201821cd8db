"""Bootstrap over customers: how often each customer is drawn, and percentile intervals of what follows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPEATS = 500
_BLOCK = 50
INTERVAL = (2.5, 97.5)

Floats = NDArray[np.float64]


def resamples(customers: int, seed: int = 0) -> Iterator[Floats]:
    """Yield blocks of bootstrap draws (draws x customers): how often each customer was drawn."""
    generator = np.random.default_rng(seed)
    for _ in range(REPEATS // _BLOCK):
        chosen = [generator.integers(0, customers, customers) for _ in range(_BLOCK)]
        yield np.stack([np.bincount(draw, minlength=customers) for draw in chosen]).astype(np.float64)


def by_customer(values: NDArray[Any], customers: NDArray[np.int64]) -> Floats:
    """Sum rows x columns by customer (codes from 0 without a gap): customers x columns."""
    table = values.reshape(len(values), -1).astype(np.float64, copy=False)
    order = np.argsort(customers, kind="stable")
    starts = np.flatnonzero(np.diff(customers[order], prepend=-1))
    return np.add.reduceat(table[order], starts, axis=0) if len(starts) else np.zeros((0, table.shape[1]))

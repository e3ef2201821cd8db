"""A difference paired by customer, with its noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.intervals import weighted_mean

_REPEATS = 1000


def paired_by_customer(
    values: NDArray[np.float64], customers: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Return the mean of `values`, one per application, with the 95 % interval of a bootstrap over customers."""
    _, index = np.unique(customers, return_inverse=True)
    sums = np.bincount(index, values if weights is None else values * weights)
    counts = np.bincount(index, weights)
    draws = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), _REPEATS)
    low, high = np.percentile((draws @ sums) / (draws @ counts), (2.5, 97.5))
    return {
        "gain": round(weighted_mean(values, weights), 6),
        "low": round(float(low), 6),
        "high": round(float(high), 6),
        "inside_the_noise": bool(low <= 0 <= high),
    }

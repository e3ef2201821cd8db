"""95 % intervals of shares and means whose rows come in customers.

Linearised ratio estimator with customers as clusters (Cochran, Sampling Techniques, 3rd ed. 1977, section 9.7); a share
gets Wilson's interval at the number of independent rows that its variance amounts to.
"""

import numpy as np
from numpy.typing import NDArray

Z = 1.959964
Figure = dict[str, float | int | None]
NOTHING: Figure = {"value": None, "low": None, "high": None, "n": 0}


def share(hits: NDArray[np.bool_], of: NDArray[np.bool_], customers: NDArray[np.int64], z: float = Z) -> Figure:
    """Return the share of the rows `of` that are `hits`; `n` counts the rows. Null without one."""
    rows = np.flatnonzero(of)
    if not len(rows):
        return dict(NOTHING)
    values, clusters = hits[rows].astype(np.float64), customers[rows]
    p, error = float(values.mean()), _error(values, clusters)
    independent = p * (1 - p) / error**2 if error > 0 else float(len(np.unique(clusters)))
    centre, spread = (
        p + z * z / (2 * independent),
        z * np.sqrt(p * (1 - p) / independent + (z / (2 * independent)) ** 2),
    )
    low, high = (centre - spread) / (1 + z * z / independent), (centre + spread) / (1 + z * z / independent)
    return _rounded(p, max(0.0, low), min(1.0, high), len(rows))


def mean(values: NDArray[np.float64], customers: NDArray[np.int64]) -> Figure:
    """Return the mean; null without a row."""
    if not len(values):
        return dict(NOTHING)
    centre, error = float(values.mean()), _error(values, customers)
    return _rounded(centre, centre - Z * error, centre + Z * error, len(values))


def _error(values: NDArray[np.float64], customers: NDArray[np.int64]) -> float:
    _, index = np.unique(customers, return_inverse=True)
    sums = np.bincount(index, values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)) / len(values))


def _rounded(value: float, low: float, high: float, n: int) -> Figure:
    return {"value": round(value, 6), "low": round(float(low), 6), "high": round(float(high), 6), "n": n}

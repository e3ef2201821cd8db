"""95 % intervals of shares and means whose rows come in customers.

Linearised ratio estimator with customers as clusters (Cochran, Sampling Techniques, 3rd ed. 1977, section 9.7); a share
gets Wilson's interval at the number of independent rows that its variance amounts to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.kinds import Asked, Classes, Floats, Metric, Unit

Z = 1.959964
Figure = dict[str, float | int | None]
NOTHING: Figure = {"value": None, "low": None, "high": None, "n": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Decisions and what came true: class indices of `count` classes, customers as codes, money by both.

    `weights` say how many applicants each application stands for; None: one.
    """

    count: int
    actual: Classes
    assigned: Classes
    customers: Classes
    costs: Floats | None = None
    weights: Floats | None = None

    @property
    def paid(self) -> Floats:
        """What each decision costs, in money; costs must be known."""
        costs = np.zeros((self.count, self.count)) if self.costs is None else self.costs
        return np.asarray(costs[self.actual, self.assigned])


def share(
    hits: NDArray[np.bool_],
    of: NDArray[np.bool_],
    customers: NDArray[np.int64],
    z: float = Z,
    weights: Floats | None = None,
) -> Figure:
    """Return the share of the rows `of` that are `hits`; `n` counts the rows. Null without one."""
    rows = np.flatnonzero(of)
    if not len(rows):
        return dict(NOTHING)
    own = None if weights is None else weights[rows]
    values, clusters = hits[rows].astype(np.float64), customers[rows]
    p, error = weighted_mean(values, own), _error(values, clusters, own)
    independent = p * (1 - p) / error**2 if error > 0 else float(len(np.unique(clusters)))
    centre, spread = (
        p + z * z / (2 * independent),
        z * np.sqrt(p * (1 - p) / independent + (z / (2 * independent)) ** 2),
    )
    low, high = (centre - spread) / (1 + z * z / independent), (centre + spread) / (1 + z * z / independent)
    return _rounded(p, max(0.0, low), min(1.0, high), len(rows))


def mean(values: Floats, customers: NDArray[np.int64], weights: Floats | None = None) -> Figure:
    """Return the mean; null without a row."""
    if not len(values):
        return dict(NOTHING)
    centre, error = weighted_mean(values, weights), _error(values, customers, weights)
    return _rounded(centre, centre - Z * error, centre + Z * error, len(values))


def figure(metric: Metric, decided: Decided, inside: NDArray[np.bool_] | None = None, z: float = Z) -> Figure:
    """Return a metric of cells, by its formula, over the rows `inside` (all of them); null where it is not defined."""
    pair = metric.cells(Asked(decided.count, costs=decided.costs))
    if pair is None:
        return dict(NOTHING)
    part, whole = (weights[decided.actual, decided.assigned] for weights in pair)
    rows = whole > 0 if inside is None else inside & (whole > 0)
    if metric.unit is Unit.SHARE:
        return share(part > 0, rows, decided.customers, z, decided.weights)
    return mean(part[rows], decided.customers[rows], None if decided.weights is None else decided.weights[rows])


def weighted_mean(values: Floats, weights: Floats | None) -> float:
    """Return the mean of values that count by their weights; NaN without a value."""
    if weights is None:
        return float(values.mean())
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else float("nan")


def _error(values: Floats, customers: NDArray[np.int64], weights: Floats | None) -> float:
    _, index = np.unique(customers, return_inverse=True)
    apart, total = values - weighted_mean(values, weights), float(len(values))
    if weights is not None:
        apart, total = apart * weights, float(weights.sum())
    sums = np.bincount(index, apart)
    return float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)) / total)


def _rounded(value: float, low: float, high: float, n: int) -> Figure:
    return {"value": round(value, 6), "low": round(float(low), 6), "high": round(float(high), 6), "n": n}

"""What decisions are worth in expectation: metrics from calibrated probabilities, before any outcome is known.

Confidence-based performance estimation: if a probability of 0.8 comes true in 8 of 10 cases, then the expected
confusion matrix of decisions is the sum of their probabilities by assigned class, and every metric follows from it.
Source: Guillory et al., Predicting with Confidence on Unseen Distributions (ICCV 2021); NannyML's CBPE (2022); the
variance is that of independent draws from the stated probabilities, to first order for ratios.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.kinds import Asked, Floats, Place
from metrics.table import listed


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over decisions of K classes, which add up over any parts of them.

    `confusion[c, a]`: probabilities of class c of those assigned a. `products[c, d, a]`: products of the probabilities
    of c and d of those assigned a. `assigned[a]`: how many.
    """

    confusion: Floats
    products: Floats
    assigned: Floats

    @classmethod
    def of(cls, probabilities: Floats, assigned: NDArray[np.int64]) -> "Sums":
        """Sum rows x classes of probabilities by assigned class (index, worst first)."""
        count = probabilities.shape[1]
        confusion, products = np.zeros((count, count)), np.zeros((count, count, count))
        for a in range(count):
            own = probabilities[assigned == a].astype(np.float64)
            confusion[:, a], products[:, :, a] = own.sum(axis=0), own.T @ own
        return cls(confusion, products, np.bincount(assigned, minlength=count).astype(np.float64))

    @classmethod
    def none(cls, count: int) -> "Sums":
        """Return the sums of no decision."""
        return cls(np.zeros((count, count)), np.zeros((count, count, count)), np.zeros(count))

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums of both parts."""
        added = self.confusion + other.confusion, self.products + other.products
        return Sums(*added, self.assigned + other.assigned)


@dataclass(frozen=True, slots=True)
class Linear:
    """A metric as sum_i weight[class of i, assigned to i] / whole, to first order around its value."""

    value: float | None
    weight: Floats
    whole: float


def monitored(confusion: Floats, costs: Floats) -> dict[str, Linear]:
    """Return the monitored metrics of a confusion matrix (class x assigned), of counts or of summed probabilities.

    Precision and recall are those of the best class. A metric without a row to stand on has no value.
    """
    asked = Asked(len(confusion), costs=costs)
    pairs = {metric.name: metric.cells(asked) for metric in listed(Place.MONITOR)}
    return {name: _ratio(confusion, *pair) for name, pair in pairs.items() if pair is not None}


def _ratio(confusion: Floats, part: Floats, whole: Floats) -> Linear:
    total = float((confusion * whole).sum())
    if total <= 0:
        return Linear(None, part, 0.0)
    value = float((confusion * part).sum()) / total
    return Linear(value, part - value * whole, total)


def variance(linear: Linear, sums: Sums) -> float:
    """Return the variance of a metric over what may come true, if outcomes are independent draws."""
    if linear.value is None:
        return float("nan")
    weight = linear.weight
    second = (sums.confusion * weight**2).sum()
    squared = np.einsum("ca,da,cda->", weight, weight, sums.products)
    return max(0.0, float(second - squared)) / linear.whole**2


def sampling_variance(linear: Linear, sums: Sums) -> float:
    """Return the variance of a stated metric over which applications came in, if they came in independently."""
    if linear.value is None:
        return float("nan")
    return max(0.0, float(np.einsum("ca,da,cda->", linear.weight, linear.weight, sums.products))) / linear.whole**2


def stated_parts(linear: Linear, probabilities: Floats, assigned: NDArray[np.int64]) -> Floats:
    """Return each row's part of a stated metric around its value; their sum is 0."""
    return np.asarray((probabilities * linear.weight[:, assigned].T).sum(axis=1) / max(linear.whole, 1e-12))


def residuals(linear: Linear, probabilities: Floats, assigned: NDArray[np.int64], actual: NDArray[np.int64]) -> Floats:
    """Return each row's part of realised minus stated metric; their sum is the difference, to first order."""
    realised = linear.weight[actual, assigned] / max(linear.whole, 1e-12)
    return np.asarray(realised - stated_parts(linear, probabilities, assigned))


def clustered_error(parts: Floats, customers: NDArray[np.int64]) -> float:
    """Return the standard error of a sum whose parts come in customers (codes)."""
    if not len(parts):
        return 0.0
    _, owner = np.unique(customers, return_inverse=True)
    sums = np.bincount(owner, parts)
    return float(np.sqrt(((sums - sums.mean()) ** 2).sum() * len(sums) / max(len(sums) - 1, 1)))

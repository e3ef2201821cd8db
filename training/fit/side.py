"""The rows of one ensemble: those at least as good as a class, parted into that class and those better than it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import Examples
from training.fit.fit import Floats
from training.fit.recipe import Plan

_FILL = 1e25  # beyond every value, and small enough to add up


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Rows of one ensemble: `better` tells who is better than its class.

    `directions` is +1, -1 or 0 per feature; `fills`: see `fills_of`.
    """

    matrix: Floats
    better: NDArray[np.bool_]
    weights: NDArray[np.float64] | None = None
    directions: tuple[int, ...] = ()
    fills: Floats | None = None

    @property
    def rarer(self) -> int:
        """Count the rows of the rarer outcome."""
        count = int(self.better.sum())
        return min(count, len(self.better) - count)

    @property
    def share(self) -> float:
        """Return the weighted share of the better rows, kept off 0 and 1 where a fold lacks one of the outcomes."""
        share = float(np.average(self.better, weights=self.weights)) if len(self.better) else 0.5
        least = 0.5 / (len(self.better) + 1)
        return min(max(share, least), 1 - least)


def side_of(examples: Examples, number: int, plan: Plan | None = None) -> Side:
    """Return the rows of ensemble `number`: classes from `number` on, parted into it and what is better."""
    rows = examples.actual >= number
    weights = examples.counted_in_fits
    weights = None if weights is None else weights[rows]
    better = examples.actual[rows] > number
    side = Side(matrix=examples.matrix[rows], better=better, weights=weights)
    return side if plan is None else replace(side, directions=plan.directions, fills=fills_of(plan))


def fills_of(plan: Plan) -> Floats | None:
    """Return what stands for missing values where directions bind: a value beyond all others, at the plan's end."""
    return np.array(plan.missing_ends, dtype=np.float32) * np.float32(_FILL) if any(plan.directions) else None

"""How improbable is a share as low as tonight's, if tonight is an ordinary night of the lender that training saw?

Tonight's count is taken as beta-binomial over customers, because cells of one customer repeat one another. Three things
are allowed for, so that an ordinary night is not called improbable:

* training's share is an estimate: a Beta posterior with Jeffreys' prior, by the customers of training;
* nights vary more than draws from one urn: more than `_MOST_CUSTOMERS` make tonight no more certain;
* lenders change a little: a share may lie below training's by `ALLOWED` times its fourth power (4 % of a share near 1,
  hardly anything of a small one, which luck alone moves by more).

Source of the distribution: Skellam, JRSS B 10 (1948) 257-261. All sums are exact and in logarithms.
"""

import math
from dataclasses import dataclass

import numpy as np

_MOST_CUSTOMERS = 100_000
ALLOWED = 0.04


@dataclass(frozen=True, slots=True)
class Share:
    """`good` of `cells`, which belong to `customers`; cells of one customer count together."""

    good: int
    cells: int
    customers: int

    @property
    def value(self) -> float:
        """The share; 0 of nothing is 0."""
        return self.good / self.cells if self.cells else 0.0


def log_chance(training: Share, tonight: Share) -> float:
    """Return the natural logarithm of the chance of a share as low as tonight's or lower; 0 where it is not low.

    Where either has no customers nothing can be said, which is 0 as well.
    """
    if not training.customers or not tonight.customers:
        return 0.0
    customers = min(tonight.customers, _MOST_CUSTOMERS)
    good = math.ceil(tonight.value * customers - 1e-9)
    share = (training.value * training.customers + 0.5) / (training.customers + 1)
    share *= 1 - ALLOWED * share**3
    if good >= share * customers:
        return 0.0
    certainty = training.customers + 1
    return log_tail(good, customers, share * certainty, (1 - share) * certainty)


def log_tail(most: int, draws: int, a: float, b: float) -> float:
    """Return log P(X <= most) of the beta-binomial distribution: the last term, and each one before by its ratio."""
    last = (
        math.lgamma(draws + 1) - math.lgamma(most + 1) - math.lgamma(draws - most + 1)
        + _log_beta(most + a, draws - most + b) - _log_beta(a, b)
    )  # fmt: skip
    i = np.arange(most, 0, -1, dtype=np.float64)
    ratios = np.log(i * (draws - i + b) / ((draws - i + 1) * (a + i - 1)))
    return min(0.0, last + math.log1p(float(np.exp(np.cumsum(ratios)).sum())))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

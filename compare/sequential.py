"""When may a comparison be stopped? An interval for a mean that holds at every moment at once, however often one looks.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 52 (2024) 2613-2640, theorem 2.2. It is asymptotic, so a judgement waits for `FEWEST`.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from metrics import Floats

FEWEST_CUSTOMERS = 100
FEWEST_CHANGED = 30  # customers for whom the two cost something else
ALIKE = 0.02  # of what a champion's decision costs
_LEVEL = 0.05
_TIGHTEST_AT = 2000  # customers; the interval is valid at any number, and narrowest near this one


class Judgement(StrEnum):
    """What the outcomes so far say of the challenger."""

    CHEAPER = "cheaper"
    DEARER = "dearer"
    ALIKE = "alike"
    OPEN = "open"
    TOO_FEW = "too few"

    @property
    def stops(self) -> bool:
        """Whether the comparison may end."""
        return self in {Judgement.CHEAPER, Judgement.DEARER, Judgement.ALIKE}


@dataclass(frozen=True, slots=True)
class Stand:
    """What a challenger saves by customer, with the interval that holds at every moment; negative is dearer."""

    judgement: Judgement
    saved: float
    low: float
    high: float
    customers: int
    changed: int


def always_valid(values: Floats) -> tuple[float, float, float]:
    """Return mean, low and high (95 %) of values that came one after the other, two at least."""
    count = len(values)
    rho = (-2 * math.log(_LEVEL) + math.log(-2 * math.log(_LEVEL) + 1)) / _TIGHTEST_AT  # the square of the source's
    spread = 2 * (count * rho + 1) / (count**2 * rho) * math.log(math.sqrt(count * rho + 1) / _LEVEL)
    radius = float(values.std()) * math.sqrt(spread)
    mean = float(values.mean())
    return mean, mean - radius, mean + radius


def stand(saved: Floats, cost: float) -> Stand:
    """Judge what was saved, one entry per customer; `cost` is what the champion's decisions cost a customer."""
    customers, changed = len(saved), int(np.count_nonzero(saved))
    if customers < 2:
        return Stand(Judgement.TOO_FEW, float(saved.sum()), -math.inf, math.inf, customers, changed)
    mean, low, high = always_valid(saved)
    if customers < FEWEST_CUSTOMERS or changed < FEWEST_CHANGED:
        judgement = Judgement.TOO_FEW
    elif low > 0:
        judgement = Judgement.CHEAPER
    elif high < 0:
        judgement = Judgement.DEARER
    else:
        judgement = Judgement.ALIKE if max(-low, high) < ALIKE * cost else Judgement.OPEN
    return Stand(judgement, mean, low, high, customers, changed)

"""Shapley's shares of parts in a decision that changed: whole numbers of a unit, so that they add up exactly.

A part's share is how much nearer its swap brings the decision to that of the second bundle, on average over all orders
in which the parts can be swapped. A decision counts 0 where it is the first bundle's, 2 where it is the second's, and 1
where it is neither; so both directions of a comparison give the same shares. A share below 0 says that the part worked
against the change.

Source: Shapley, A value for n-person games (1953).
"""

from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

Coalition = frozenset[int]  # the parts that are swapped, by number


def coalitions(count: int) -> list[Coalition]:
    """Return every set of `count` parts."""
    return [frozenset(some) for size in range(count + 1) for some in combinations(range(count), size)]


def unit(count: int) -> int:
    """Return how many units of `shapley` one decision is."""
    return 2 * factorial(count)


def shapley(decided: dict[Coalition, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the shares, parts x decisions, in units of `unit`, of decisions that differ between none and all swapped.

    `decided`: what each coalition decides.
    """
    everything = max(decided, key=len)
    before, after, count = decided[frozenset()], decided[everything], len(everything)
    worth = {some: (now != before).astype(np.int64) + (now == after) for some, now in decided.items()}
    shares = np.zeros((count, len(before)), dtype=np.int64)
    for some, value in worth.items():
        weight = factorial(len(some)) * factorial(count - len(some) - 1) if len(some) < count else 0
        for part in everything - some:
            shares[part] += weight * (worth[some | {part}] - value)
    return shares


def in_steps(units: list[int], whole: int, steps: int) -> list[float]:
    """Return numbers of units, `whole` of which are one, rounded to 1 / `steps` so that their sum is kept.

    What is cut off goes to the largest remainders. The sum must be a whole number.
    """
    down = [number * steps // whole for number in units]
    rests = [number * steps % whole for number in units]
    left = sum(units) * steps // whole - sum(down)
    for place in sorted(range(len(units)), key=lambda place: -rests[place])[:left]:
        down[place] += 1
    return [number / steps for number in down]

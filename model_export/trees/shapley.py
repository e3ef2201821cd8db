"""Shapley values of one leaf in closed form."""

from functools import cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def leaf_values(zeros: Floats) -> Floats:
    """Return Shapley values of a leaf of value 1: 2^k patterns of matching features x k features.

    phi_i = (one_i - zero_i) * sum over sets S without i of |S|! (k - |S| - 1)! / k! * prod_S one_j * prod_rest zero_j;
    the sum over sets of one size is a coefficient of prod_j (zero_j + one_j t).
    """
    count = len(zeros)
    if count == 0:
        return np.zeros((1, 0))
    ones = ((np.arange(1 << count)[:, None] >> np.arange(count)) & 1).astype(np.float64)
    coefficients = np.zeros((1 << count, count, count))
    coefficients[:, :, 0] = 1
    for j in range(count):
        others = np.arange(count) != j
        raised = coefficients[:, others, :-1] * ones[:, j, None, None]
        coefficients[:, others] *= zeros[j]
        coefficients[:, others, 1:] += raised
    result: Floats = (ones - zeros) * (coefficients * _weights(count)).sum(axis=2)
    return result


@cache
def _weights(count: int) -> Floats:
    return np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])

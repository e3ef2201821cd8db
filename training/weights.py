"""What each example counts: sampling weights from a column of the data, and class weights for the fit alone.

A sampling weight says how many applicants an example stands for, so it counts everywhere: in the fit, the calibration,
the policy and every figure. A class weight only makes the fit look at a class harder; calibration takes it out again.
"""

import numpy as np
from numpy.typing import NDArray

from features.spec.contract import Spec

Floats = NDArray[np.float64]


def normalised(weights: Floats) -> Floats | None:
    """Scale weights above 0 to a mean of 1, so that they do not pretend to more examples; None where all are equal."""
    return None if len(weights) == 0 or (weights == weights[0]).all() else weights / weights.mean()


def class_weights(actual: NDArray[np.int64], weights: Floats | None, spec: Spec) -> Floats | None:
    """Return what an example of each class is multiplied by in the fit; None where all classes count alike."""
    asked, count = spec.weights, len(spec.classes)
    if asked.balanced:
        sums = np.bincount(actual, weights, minlength=count)
        found = sums.sum() / (count * sums)
    else:
        found = np.array(asked.classes, dtype=np.float64)
    return None if len(found) == 0 or (found == found[0]).all() else found


def weighted_shares(actual: NDArray[np.int64], weights: Floats | None, count: int) -> Floats:
    """Return the share of each of `count` classes; 0 of each without a row."""
    sums = np.bincount(actual, weights, minlength=count).astype(np.float64)
    return np.asarray(sums / (sums.sum() or 1))

"""Folds by customer: each customer is a test once, and others of their own calibrate."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.data import Examples, Split, check_no_leak

FOLDS = 5
CALIBRATION_SHARE = 0.15


def folds(examples: Examples, seed: int) -> Iterator[tuple[Split, NDArray[np.bool_]]]:
    """Yield each fold's split and the mask of its test rows; 15 % of all customers calibrate, the others train."""
    customers = np.unique(examples.customers)
    generator = np.random.default_rng(seed)
    generator.shuffle(customers)
    for fold in range(FOLDS):
        test = np.isin(examples.customers, customers[fold::FOLDS])
        rest = np.setdiff1d(customers, customers[fold::FOLDS])
        generator.shuffle(rest)
        calibration = np.isin(examples.customers, rest[: round(CALIBRATION_SHARE * len(customers))])
        split = Split(examples.only(~test & ~calibration), examples.only(calibration), examples.only(test))
        check_no_leak(split)
        yield split, test

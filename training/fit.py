"""Fit XGBoost on the feature matrix."""

import numpy as np
import xgboost
from numpy.typing import NDArray

from training.data import Examples

# Found sufficient by measurement (docs/model.md): more or deeper trees are within noise and cost serving time.
PARAMETERS = {
    "objective": "multi:softprob",
    "max_depth": 6,
    "max_leaves": 16,
    "grow_policy": "lossguide",
    "learning_rate": 0.15,
    "tree_method": "hist",
}
ROUNDS = 60


def fit_xgboost(examples: Examples, classes: int, seed: int, threads: int = 0) -> xgboost.Booster:
    """Fit one scalar tree per class and round; missing values are routed as the model learns. Same input, same bits.

    Two classes are fitted as two margins as well, so that calibration and export know one form only.
    """
    data = xgboost.DMatrix(examples.matrix, label=examples.actual)
    parameters = {**PARAMETERS, "num_class": classes, "seed": seed, "nthread": threads, "verbosity": 0}
    return xgboost.train(parameters, data, num_boost_round=ROUNDS)


def margins(booster: xgboost.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the raw scores, one column per class."""
    result: NDArray[np.float32] = booster.predict(xgboost.DMatrix(matrix), output_margin=True)
    return result

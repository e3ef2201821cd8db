"""Shapes are fitted, calibrated, and crossed over folds of customers."""

from training.fit.booster_json import base_margin, loaded, tree_json
from training.fit.calibrate import Calibration, fit_calibration
from training.fit.candidate import Fit
from training.fit.fit import (
    BINARY,
    LEAST_PROBABILITY,
    LEAST_SHARE,
    Fitted,
    FittedForest,
    FittedXgboost,
    ModelKind,
    OrdinalForest,
    OrdinalXgboost,
)

__all__ = [
    "BINARY",
    "LEAST_PROBABILITY",
    "LEAST_SHARE",
    "Calibration",
    "Fit",
    "Fitted",
    "FittedForest",
    "FittedXgboost",
    "ModelKind",
    "OrdinalForest",
    "OrdinalXgboost",
    "base_margin",
    "fit_calibration",
    "loaded",
    "tree_json",
]

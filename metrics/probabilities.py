"""Figures of probabilities: what was stated against what came true."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.kinds import Classes, Floats, Mean, Metric, Totals, Unit, Whole, Worse

CALIBRATION_BINS = 15
_FLOOR = 1e-15


def log_losses(probabilities: NDArray[np.floating[Any]], actual: Classes) -> Floats:
    """Return -ln of the stated probability (rows x classes) of the class that came true, per row in nats."""
    chosen = probabilities[np.arange(len(actual)), actual].astype(np.float64)
    return np.asarray(-np.log(np.maximum(chosen, _FLOOR)))


def excess_log_losses(probabilities: NDArray[np.floating[Any]], actual: Classes) -> Floats:
    """Return by how much each row's log loss (nats) exceeds what its own probabilities expect."""
    p = probabilities.astype(np.float64)
    return np.asarray((p * np.log(np.maximum(p, _FLOOR))).sum(axis=1) + log_losses(p, actual))


def _brier_scores(probabilities: Floats, actual: Classes) -> Floats:
    return np.asarray(((probabilities - np.eye(probabilities.shape[1])[actual]) ** 2).sum(axis=1))


def calibration_gaps(probabilities: Floats, actual: Classes) -> Floats:
    """Return stated minus actual of each row (rows x classes x bins), in the bin of the stated probability."""
    rows, count = np.arange(len(actual)), probabilities.shape[1]
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.zeros((len(rows), count, CALIBRATION_BINS))
    for c in range(count):
        gaps[rows, c, bins[:, c]] = probabilities[:, c] - (actual == c)
    return gaps


def _calibration_error(totals: Totals) -> Floats:
    count = totals.confusion.shape[1]
    return np.asarray(np.abs(totals.gaps).sum(axis=(1, 2)) / (totals.confusion.sum(axis=(1, 2)) * count))


PROBABILITIES: tuple[Metric, ...] = (
    Metric(
        name="log_loss",
        label="log loss",
        short="log loss",
        unit=Unit.NATS,
        worse=Worse.HIGHER,
        formula="the mean of -ln of the probability that was stated for the class that came true",
        source="Good, Rational Decisions (1952)",
        value=Mean(log_losses),
    ),
    Metric(
        name="brier_score",
        label="Brier score",
        short="Brier score",
        unit=Unit.NUMBER,
        worse=Worse.HIGHER,
        formula="the mean over applications of the squared gaps of all classes, summed; from 0 to 2",
        source="Brier, Verification of Forecasts Expressed in Terms of Probability (1950)",
        value=Mean(_brier_scores),
    ),
    Metric(
        name="calibration_error",
        label="calibration error",
        short="calibration error",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.HIGHER,
        formula="the mean over classes of |stated - actual| share in 15 bins of the probability, by their rows",
        source="Naeini, Cooper, Hauskrecht, Obtaining Well Calibrated Probabilities (AAAI 2015), for every class",
        value=Whole(_calibration_error, of_decisions=False),
    ),
)

"""Every figure about decisions, once: the table of metrics, how each is computed, and its interval by customer."""

from metrics.evaluating import Outcome, evaluate
from metrics.expected import (
    Linear,
    Sums,
    clustered_error,
    monitored,
    residuals,
    sampling_variance,
    stated_parts,
    variance,
)
from metrics.intervals import NOTHING, Decided, Figure, Z, figure, mean, share
from metrics.kinds import Asked, Cells, Classes, Floats, Mean, Metric, Pair, Place, Totals, Unit, Whole, Worse
from metrics.paired import paired_by_customer
from metrics.probabilities import CALIBRATION_BINS, excess_log_losses, log_losses
from metrics.resampling import INTERVAL, by_customer, resamples
from metrics.table import find, listed, named, order

__all__ = [
    "CALIBRATION_BINS",
    "INTERVAL",
    "NOTHING",
    "Asked",
    "Cells",
    "Classes",
    "Decided",
    "Figure",
    "Floats",
    "Linear",
    "Mean",
    "Metric",
    "Outcome",
    "Pair",
    "Place",
    "Sums",
    "Totals",
    "Unit",
    "Whole",
    "Worse",
    "Z",
    "by_customer",
    "clustered_error",
    "evaluate",
    "excess_log_losses",
    "figure",
    "find",
    "listed",
    "log_losses",
    "mean",
    "monitored",
    "named",
    "order",
    "paired_by_customer",
    "resamples",
    "residuals",
    "sampling_variance",
    "share",
    "stated_parts",
    "variance",
]

"""Every figure about decisions, once: the table of metrics, how each is computed, and its interval by customer."""

from metrics.evaluating import Outcome, against, class_curves, evaluate, evaluate_all, with_interval
from metrics.evaluation import Evaluation, Origin, Protocol
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
from metrics.kinds import (
    Asked,
    Cells,
    Classes,
    Floats,
    Groups,
    Mean,
    Metric,
    Pair,
    Place,
    Ranks,
    Totals,
    Unit,
    Whole,
    Worse,
)
from metrics.paired import paired_by_customer
from metrics.probabilities import CALIBRATION_BINS, excess_log_losses, log_losses
from metrics.ranking import Ranked, auc, curves
from metrics.resampling import INTERVAL, by_customer, resamples
from metrics.sentences import column_tells, sentences
from metrics.table import find, listed, named, order

__all__ = [
    "CALIBRATION_BINS",
    "INTERVAL",
    "NOTHING",
    "Asked",
    "Cells",
    "Classes",
    "Decided",
    "Evaluation",
    "Figure",
    "Floats",
    "Groups",
    "Linear",
    "Mean",
    "Metric",
    "Origin",
    "Outcome",
    "Pair",
    "Place",
    "Protocol",
    "Ranked",
    "Ranks",
    "Sums",
    "Totals",
    "Unit",
    "Whole",
    "Worse",
    "Z",
    "against",
    "auc",
    "by_customer",
    "class_curves",
    "clustered_error",
    "column_tells",
    "curves",
    "evaluate",
    "evaluate_all",
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
    "sentences",
    "share",
    "stated_parts",
    "variance",
    "with_interval",
]

"""Every figure about decisions, once: the table of metrics, how each is computed, and its interval by customer."""

from metrics.counted import confusion_of, value_of
from metrics.evaluating import Outcome, against, class_curves, evaluate, evaluate_all, not_certain, rank, with_interval
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
from metrics.intervals import Decided, Figure, Z, figure, mean, share, weighted_mean
from metrics.kinds import (
    Asked,
    Cells,
    Floats,
    Metric,
    Pair,
    Place,
    Ranks,
    Unit,
    Worse,
)
from metrics.paired import paired_by_customer
from metrics.probabilities import CALIBRATION_BINS, excess_log_losses, log_losses
from metrics.ranking import Ranked, auc, curves
from metrics.resampling import by_customer, resamples
from metrics.sentences import column_tells, sentences
from metrics.table import find, listed, markdown, named, order

__all__ = [
    "CALIBRATION_BINS",
    "Asked",
    "Cells",
    "Decided",
    "Evaluation",
    "Figure",
    "Floats",
    "Linear",
    "Metric",
    "Origin",
    "Outcome",
    "Pair",
    "Place",
    "Protocol",
    "Ranked",
    "Ranks",
    "Sums",
    "Unit",
    "Worse",
    "Z",
    "against",
    "auc",
    "by_customer",
    "class_curves",
    "clustered_error",
    "column_tells",
    "confusion_of",
    "curves",
    "evaluate",
    "evaluate_all",
    "excess_log_losses",
    "figure",
    "find",
    "listed",
    "log_losses",
    "markdown",
    "mean",
    "monitored",
    "named",
    "not_certain",
    "order",
    "paired_by_customer",
    "rank",
    "resamples",
    "residuals",
    "sampling_variance",
    "sentences",
    "share",
    "stated_parts",
    "value_of",
    "variance",
    "weighted_mean",
    "with_interval",
]

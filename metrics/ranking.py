"""Figures of ranking: how well probabilities part one class from the rest, whatever the policy makes of them.

Equal scores count half (AUC), or are passed together (KS, curves), so no order within ties is assumed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.kinds import Classes, Floats, Groups, Metric, Place, Ranks, Unit, Worse

_MOST_GROUPS, _MOST_POINTS = 1000, 201  # of a resample, and of a curve
Mask = NDArray[np.bool_]


class Ranked:
    """Rows by ascending score, in groups of equal ones; resamples count them in some thousand neighbouring groups."""

    def __init__(self, scores: NDArray[np.floating[Any]], positive: Mask) -> None:
        """Sort once."""
        self._thresholds, group = np.unique(scores, return_inverse=True)
        self._codes = 2 * group + positive
        sizes = np.cumsum(np.bincount(group, minlength=len(self._thresholds))) - 1
        coarse = sizes * _MOST_GROUPS // max(len(group), 1) if len(sizes) > _MOST_GROUPS else np.arange(len(sizes))
        self._coarse = 2 * coarse[group] + positive

    def groups(self, weights: Floats | None = None) -> Groups:
        """Count positives and negatives of each score, ascending; each row counts by its weight."""
        return _counted(self._codes, weights, len(self._thresholds))

    def resampled(self, weights: Floats) -> Groups:
        """Count them where each row counts so often; more than 1,000 scores are put together with their neighbours.

        That moves a resample by less than a thousandth, and evenly, which the interval's correction takes out.
        """
        return _counted(self._coarse, weights, min(len(self._thresholds), _MOST_GROUPS))


def _counted(codes: Classes, weights: Floats | None, groups: int) -> Groups:
    counts = np.bincount(codes, weights, 2 * groups).reshape(-1, 2).astype(np.float64)
    return Groups(counts[:, 1], counts[:, 0])


def area(groups: Groups) -> float:
    """Return the area under the ROC curve: the chance that a positive outranks a negative, ties half (Mann-Whitney)."""
    pairs = groups.positive.sum() * groups.negative.sum()
    below = np.cumsum(groups.negative) - groups.negative / 2
    return float((groups.positive * below).sum() / pairs) if pairs > 0 else float("nan")


def _gini(groups: Groups) -> float:
    return 2 * area(groups) - 1


def _separation(groups: Groups) -> float:
    positives, negatives = groups.positive.sum(), groups.negative.sum()
    if positives == 0 or negatives == 0:
        return float("nan")
    return float(np.abs(np.cumsum(groups.positive) / positives - np.cumsum(groups.negative) / negatives).max())


def _average_precision(groups: Groups) -> float:
    hits, called = groups.positive[::-1], (groups.positive + groups.negative)[::-1]
    if hits.sum() == 0:
        return float("nan")
    precision = np.cumsum(hits) / np.maximum(np.cumsum(called), 1e-300)
    return float((hits * precision).sum() / hits.sum())


def _one_class(probabilities: Floats, actual: Classes, index: int) -> tuple[Floats, Mask]:
    return probabilities[:, index], actual == index % probabilities.shape[1]


def _better_than_worst(probabilities: Floats, actual: Classes, _index: int) -> tuple[Floats, Mask] | None:
    if probabilities.shape[1] == 2:
        return None  # the same as the best class against the rest
    return -probabilities[:, 0], actual > 0


def auc(scores: NDArray[np.floating[Any]], positive: Mask, weights: Floats | None = None) -> float | None:
    """Return the area under the ROC curve of any scores; None without positives or negatives."""
    found = area(Ranked(scores, positive).groups(weights))
    return found if np.isfinite(found) else None


def curves(scores: NDArray[np.floating[Any]], positive: Mask, weights: Floats | None = None) -> dict[str, list[float]]:
    """Return ROC and precision-recall curve over descending thresholds, thinned out to some 200 points.

    `false_positive` and `recall` (true positives) begin at 0; `precision` is that of calling what lies above, and at
    the first point that of the highest group of equal scores.
    """
    if not len(scores):
        return {"false_positive": [], "recall": [], "precision": []}
    groups = Ranked(scores, positive).groups(weights)
    hits, misses = np.cumsum(groups.positive[::-1]), np.cumsum(groups.negative[::-1])
    recall, wrong = hits / (hits[-1] or 1), misses / (misses[-1] or 1)
    kept = _thinned(np.maximum(recall, wrong))
    precision = hits / (hits + misses)
    return {
        "false_positive": [0.0, *np.round(wrong[kept], 5).tolist()],
        "recall": [0.0, *np.round(recall[kept], 5).tolist()],
        "precision": [round(float(precision[0]), 5), *np.round(precision[kept], 5).tolist()],
    }


def _thinned(course: Floats) -> NDArray[np.int64]:
    """Choose points that lie evenly on a rising course; the last is always there."""
    wanted = np.searchsorted(course, np.linspace(0, course[-1], _MOST_POINTS))
    return np.unique(np.append(np.minimum(wanted, len(course) - 1), len(course) - 1))


_BY_PERIOD = frozenset({Place.EVALUATION, Place.COHORTS})
_HANLEY = "Hanley, McNeil, The Meaning and Use of the Area under a ROC Curve, Radiology 143 (1982)"

RANKING: tuple[Metric, ...] = (
    Metric(
        name="auc",
        label="AUC of {best} against the rest",
        short="AUC",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.LOWER,
        formula="the chance that an applicant of the best class has a higher P(best) than one of another; ties half",
        source=_HANLEY,
        matters=0.01,
        value=Ranks(area, _one_class),
        places=_BY_PERIOD,
    ),
    Metric(
        name="gini",
        label="Gini of {best} against the rest",
        short="Gini",
        unit=Unit.NUMBER,
        least=-1.0,
        most=1.0,
        worse=Worse.LOWER,
        formula="2 AUC - 1 of the best class against the rest",
        source=_HANLEY,
        matters=0.02,
        value=Ranks(_gini, _one_class),
        places=_BY_PERIOD,
    ),
    Metric(
        name="ks",
        label="KS of {best} against the rest",
        short="KS",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.LOWER,
        formula="the largest distance between the distributions of P(best) of the best class and of the rest",
        source="Kolmogorov-Smirnov; Thomas, Edelman, Crook, Credit Scoring and Its Applications (2002)",
        matters=0.02,
        value=Ranks(_separation, _one_class),
        places=_BY_PERIOD,
    ),
    Metric(
        name="auc_better_than_worst",
        label="AUC of better than {worst}",
        short="AUC, better than worst",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.LOWER,
        formula="the AUC of 1 - P(worst) for all classes above the worst against it; with three classes or more",
        source=_HANLEY,
        value=Ranks(area, _better_than_worst),
    ),
    Metric(
        name="gini_better_than_worst",
        label="Gini of better than {worst}",
        short="Gini, better than worst",
        unit=Unit.NUMBER,
        least=-1.0,
        most=1.0,
        worse=Worse.LOWER,
        formula="2 AUC - 1 of better than the worst class",
        source=_HANLEY,
        value=Ranks(_gini, _better_than_worst),
    ),
    Metric(
        name="ks_better_than_worst",
        label="KS of better than {worst}",
        short="KS, better than worst",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.LOWER,
        formula="the largest distance between the distributions of P(worst) of the worst class and of the others",
        value=Ranks(_separation, _better_than_worst),
    ),
    Metric(
        name="average_precision",
        label="average precision of {of}",
        short="average precision",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.LOWER,
        formula="the sum over thresholds of the gain in recall times the precision there; no interpolation",
        source="scikit-learn's average_precision_score; Davis, Goadrich (ICML 2006)",
        by_class=True,
        value=Ranks(_average_precision, _one_class),
    ),
)

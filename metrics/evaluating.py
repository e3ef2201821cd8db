"""How good are decisions: every metric of the table with its interval.

Figures are made of sums over applications, so a bootstrap over customers only needs each customer's sums; those of
ranking need to know how often each application was drawn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.intervals import Decided, figure
from metrics.kinds import Asked, Cells, Classes, Floats, Mean, Metric, Place, Ranks, Totals, Unit
from metrics.paired import paired_by_customer
from metrics.probabilities import CALIBRATION_BINS, calibration_gaps
from metrics.ranking import Ranked, curves
from metrics.resampling import INTERVAL, by_customer, resamples
from metrics.table import listed

Drawn = dict[str, tuple[float, Floats]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided and what came true, one entry per application; classes are indices, worst first.

    `costs[actual][assigned]` is money, or None where costs are not known. `weights` say how many applicants each
    application stands for; None: one.
    """

    classes: tuple[str, ...]
    actual: Classes
    assigned: Classes
    probabilities: Floats
    customers: Classes
    costs: Floats | None = None
    weights: Floats | None = None

    @property
    def decided(self) -> Decided:
        """The decisions without their probabilities."""
        return Decided(
            count=len(self.classes),
            actual=self.actual,
            assigned=self.assigned,
            customers=self.customers,
            costs=self.costs,
            weights=self.weights,
        )


def evaluate(outcome: Outcome, seed: int = 0) -> dict[str, Any]:
    """Compute all metrics, each as {"value", "low", "high"}: the 95 % interval of a bootstrap over customers.

    Null where a metric is not defined (precision of a class that was never assigned).
    """
    return evaluate_all({"": outcome}, seed)[""]


def evaluate_all(outcomes: dict[str, Outcome], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Evaluate several decisions about the same applications; what shares its probabilities is ranked once."""
    ranked: dict[int, Drawn] = {}
    found = {}
    for name, outcome in outcomes.items():
        key = id(outcome.probabilities)
        if key not in ranked:
            ranked[key] = _ranking(outcome, seed)
        found[name] = _evaluate(outcome, ranked[key], seed)
    return found


def against(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return what decisions save an application against two of no policy, with its interval paired by customer.

    `approve_all` calls everybody the best class, `argmax` takes the most probable one. In money, or, where costs are
    not known, in shares of applications that are called what they are.
    """
    best = len(outcome.classes) - 1
    others = {"approve_all": np.full_like(outcome.assigned, best)}
    if outcome.costs is not None:  # without prices the most probable class makes the fewest errors by construction
        others["argmax"] = outcome.probabilities.argmax(axis=1)
    prices = 1 - np.eye(best + 1) if outcome.costs is None else outcome.costs
    own = prices[outcome.actual, outcome.assigned]
    measure = "accuracy" if outcome.costs is None else "expected_cost"
    return {
        name: {
            "of": measure,
            **paired_by_customer(prices[outcome.actual, other] - own, outcome.customers, outcome.weights),
        }
        for name, other in others.items()
    }


def rank(outcome: Outcome, place: Place, seed: int = 0) -> dict[str, dict[str, float | None]]:
    """Return the figures of ranking of a place, each with its 95 % interval by customer; null where not defined."""
    drawn = _ranking(outcome, seed, place)
    metrics = {metric.name: metric for metric in listed(place, outcome.classes)}
    return {name: with_interval(metrics[name], *found) for name, found in drawn.items()}


def class_curves(outcome: Outcome) -> dict[str, dict[str, list[float]]]:
    """Return ROC and precision-recall curve of each class against the rest, by name."""
    p = outcome.probabilities
    return {name: curves(p[:, i], outcome.actual == i, outcome.weights) for i, name in enumerate(outcome.classes)}


def _evaluate(outcome: Outcome, ranked: Drawn, seed: int) -> dict[str, Any]:
    sums = _Sums(outcome)
    _, customers = np.unique(outcome.customers, return_inverse=True)
    own = by_customer(sums.rows, customers)
    drawn = np.concatenate([draws @ own for draws in resamples(len(own), seed)]) if len(own) else own
    total = own.sum(axis=0)[None, :]
    decided = outcome.decided
    figures = {}
    for metric in listed(Place.EVALUATION, outcome.classes):
        if metric.name in ranked:
            figures[metric.name] = with_interval(metric, *ranked[metric.name])
        elif (value := sums.value(metric, total)) is not None:
            found = with_interval(metric, float(value[0]), sums.value(metric, drawn))
            figures[metric.name] = not_certain(metric, found, decided)
    return {
        "applications": len(outcome.actual),
        "customers": len(own),
        "metrics": figures,
        "confusion": _confusion(outcome),
        **({} if outcome.weights is None else {"counts": _counts(outcome)}),
    }


def _confusion(outcome: Outcome) -> dict[str, dict[str, float]]:
    """Count applications by actual and assigned class; where they have weights, add the weights up."""
    count, whole = len(outcome.classes), outcome.weights is None
    cells = outcome.actual * count + outcome.assigned
    table = np.bincount(cells, outcome.weights, minlength=count * count).reshape(count, count)
    return {
        actual: {b: int(table[i, j]) if whole else round(float(table[i, j]), 3) for j, b in enumerate(outcome.classes)}
        for i, actual in enumerate(outcome.classes)
    }


def _counts(outcome: Outcome) -> dict[str, int]:
    """Count applications by actual class, whatever their weights."""
    return {name: int((outcome.actual == i).sum()) for i, name in enumerate(outcome.classes)}


def _ranking(outcome: Outcome, seed: int, place: Place = Place.EVALUATION) -> Drawn:
    """Return the value and the resampled values of each metric of ranking."""
    targets = {}
    for metric in listed(place, outcome.classes):
        if isinstance(metric.value, Ranks):
            target = metric.value.target(outcome.probabilities, outcome.actual, metric.index)
            if target is not None:
                targets[metric.name] = (
                    metric.value.of,
                    (metric.value.target, metric.index % len(outcome.classes)),
                    target,
                )
    ranked = {key: Ranked(*target) for _, key, target in targets.values()}
    values: dict[str, list[float]] = {name: [] for name in targets}
    _, customers = np.unique(outcome.customers, return_inverse=True)
    count = int(customers.max(initial=-1)) + 1
    for draw in (row for draws in resamples(count, seed) for row in draws) if count else ():
        weights = draw[customers] if outcome.weights is None else draw[customers] * outcome.weights
        groups = {key: own.resampled(weights) for key, own in ranked.items()}
        for name, (of, key, _) in targets.items():
            values[name].append(of(groups[key]))
    whole = {key: own.groups(outcome.weights) for key, own in ranked.items()}
    return {name: (of(whole[key]), np.array(values[name])) for name, (of, key, _) in targets.items()}


class _Sums:
    """What the metrics are sums of, per application: `rows` (rows x columns): confusion, gaps, means."""

    def __init__(self, outcome: Outcome) -> None:
        """Lay the columns out."""
        count, rows = len(outcome.classes), len(outcome.actual)
        confusion = np.zeros((rows, count * count))
        confusion[np.arange(rows), outcome.actual * count + outcome.assigned] = 1
        gaps = calibration_gaps(outcome.probabilities, outcome.actual)
        means = {m.name: m.value.of for m in listed(Place.EVALUATION) if isinstance(m.value, Mean)}
        self._means = {name: count * count + count * CALIBRATION_BINS + i for i, name in enumerate(means)}
        self._asked = Asked(count, costs=outcome.costs)
        columns = [of(outcome.probabilities, outcome.actual)[:, None] for of in means.values()]
        self.rows = np.concatenate([confusion, gaps.reshape(rows, -1), *columns], axis=1)
        if outcome.weights is not None:
            self.rows *= outcome.weights[:, None]

    def value(self, metric: Metric, sums: Floats) -> Floats | None:
        """Return a metric of each row of sums (r x columns), NaN where it is not defined; None: not known here."""
        cells = self._asked.count**2
        confusion = sums[:, :cells]
        with np.errstate(divide="ignore", invalid="ignore"):
            match metric.value:
                case Cells():
                    pair = metric.cells(self._asked)
                    return None if pair is None else (confusion @ pair[0].ravel()) / (confusion @ pair[1].ravel())
                case Mean():
                    return np.asarray(sums[:, self._means[metric.name]] / confusion.sum(axis=1))
                case Ranks():
                    return None
                case whole:
                    return whole.of(self._totals(sums))

    def _totals(self, sums: Floats) -> Totals:
        count = self._asked.count
        ends = count * count, count * count + count * CALIBRATION_BINS
        confusion, gaps = sums[:, : ends[0]], sums[:, ends[0] : ends[1]]
        return Totals(confusion.reshape(-1, count, count), gaps.reshape(-1, count, CALIBRATION_BINS))


def not_certain(metric: Metric, found: dict[str, float | None], decided: Decided) -> dict[str, float | None]:
    """Return the figure; where no resample can tell a share from 0 or 1, with Wilson's interval by customer.

    Not for decisions that are the same for everybody: what they make of a class is certain.
    """
    same = found["low"] is None or found["low"] != found["high"]
    if same or metric.unit is not Unit.SHARE or len(np.unique(decided.assigned)) < 2:
        return found
    wilson = figure(metric, decided)
    return {name: wilson[name] for name in ("value", "low", "high")}


def with_interval(metric: Metric, value: float, drawn: Floats | None) -> dict[str, float | None]:
    """Return value, low and high: percentiles, shifted by the bootstrap's own bias (noticeable for calibration alone).

    The one interval of a figure that is resampled by customer; `drawn` may hold NaN where a resample defines none.
    """
    known = np.empty(0) if drawn is None else drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return {"value": round(value, 6) if np.isfinite(value) else None, "low": None, "high": None}
    low, high = np.percentile(known, INTERVAL) - (np.mean(known) - value)
    ends = max(metric.least, float(low)), min(metric.ceiling, float(high))
    return {"value": round(value, 6), "low": round(ends[0], 6), "high": round(ends[1], 6)}

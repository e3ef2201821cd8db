"""How good are decisions: every metric of the table with its interval.

Figures are made of sums over applications, so a bootstrap over customers only needs each customer's sums.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.kinds import Asked, Cells, Classes, Floats, Mean, Metric, Place, Totals
from metrics.probabilities import CALIBRATION_BINS, calibration_gaps
from metrics.resampling import INTERVAL, by_customer, resamples
from metrics.table import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided and what came true, one entry per application; classes are indices, worst first.

    `costs[actual][assigned]` is money, or None where costs are not known.
    """

    classes: tuple[str, ...]
    actual: Classes
    assigned: Classes
    probabilities: Floats
    customers: Classes
    costs: Floats | None = None


def evaluate(outcome: Outcome, seed: int = 0) -> dict[str, Any]:
    """Compute all metrics, each as {"value", "low", "high"}: the 95 % interval of a bootstrap over customers.

    Null where a metric is not defined (precision of a class that was never assigned).
    """
    sums = _Sums(outcome)
    _, customers = np.unique(outcome.customers, return_inverse=True)
    own = by_customer(sums.rows, customers)
    drawn = np.concatenate([draws @ own for draws in resamples(len(own), seed)]) if len(own) else own
    total = own.sum(axis=0)[None, :]
    count = len(outcome.classes)
    confusion = total[0, : count * count].astype(int).reshape(count, count)
    figures = {}
    for metric in listed(Place.EVALUATION, outcome.classes):
        value = sums.value(metric, total)
        if value is not None:
            figures[metric.name] = _with_interval(metric, float(value[0]), sums.value(metric, drawn))
    return {
        "applications": len(outcome.actual),
        "customers": len(own),
        "metrics": figures,
        "confusion": {
            actual: {assigned: int(confusion[i, j]) for j, assigned in enumerate(outcome.classes)}
            for i, actual in enumerate(outcome.classes)
        },
    }


class _Sums:
    """What the metrics are sums of, per application: `rows` (rows x columns): confusion, gaps, means."""

    def __init__(self, outcome: Outcome) -> None:
        """Lay the columns out."""
        count, rows = len(outcome.classes), len(outcome.actual)
        confusion = np.zeros((rows, count * count))
        confusion[np.arange(rows), outcome.actual * count + outcome.assigned] = 1
        gaps = calibration_gaps(outcome.probabilities, outcome.actual)
        self._means = {
            metric.name: (count * count + count * CALIBRATION_BINS + i, metric.value)
            for i, metric in enumerate(m for m in listed(Place.EVALUATION) if isinstance(m.value, Mean))
        }
        means = [
            mean.of(outcome.probabilities, outcome.actual)[:, None]
            for _, mean in self._means.values()
            if isinstance(mean, Mean)
        ]
        self._asked = Asked(count, costs=outcome.costs)
        self.rows = np.concatenate([confusion, gaps.reshape(rows, -1), *means], axis=1)

    def value(self, metric: Metric, sums: Floats) -> Floats | None:
        """Return a metric of each row of sums (r x columns), NaN where it is not defined; None where costs lack."""
        cells = self._asked.count**2
        confusion = sums[:, :cells]
        with np.errstate(divide="ignore", invalid="ignore"):
            if isinstance(metric.value, Cells):
                pair = metric.cells(self._asked)
                return None if pair is None else (confusion @ pair[0].ravel()) / (confusion @ pair[1].ravel())
            if isinstance(metric.value, Mean):
                return np.asarray(sums[:, self._means[metric.name][0]] / confusion.sum(axis=1))
            return metric.value.of(self._totals(sums))

    def _totals(self, sums: Floats) -> Totals:
        count = self._asked.count
        ends = count * count, count * count + count * CALIBRATION_BINS
        confusion, gaps = sums[:, : ends[0]], sums[:, ends[0] : ends[1]]
        return Totals(confusion.reshape(-1, count, count), gaps.reshape(-1, count, CALIBRATION_BINS))


def _with_interval(metric: Metric, value: float, drawn: Floats | None) -> dict[str, float | None]:
    """Percentile interval, shifted by the bootstrap's own bias (noticeable for the calibration error alone)."""
    known = np.empty(0) if drawn is None else drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return {"value": round(value, 6) if np.isfinite(value) else None, "low": None, "high": None}
    low, high = np.percentile(known, INTERVAL) - (np.mean(known) - value)
    highest = float(min(metric.ceiling, high))
    return {"value": round(value, 6), "low": round(max(0.0, float(low)), 6), "high": round(highest, 6)}

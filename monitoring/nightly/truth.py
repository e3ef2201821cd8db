"""How good decisions turned out to be: outcomes that came true, by month of application, against what was stated."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics import (
    Decided,
    Figure,
    Floats,
    Outcome,
    Place,
    Sums,
    clustered_error,
    excess_log_losses,
    figure,
    log_losses,
    mean,
    monitored,
    named,
    rank,
    share,
)
from monitoring.divergence import normal_quantile
from monitoring.nightly.estimate import LEAST_ROWS, interval, reach, tests
from scoring.bundle import Reference

FALSE_ALARMS = 0.01
_BINS, _LEAST_IN_A_BIN = 10, 20
_SELECTED = 0.05  # a class of decisions of which fewer have an outcome counts as selected away

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Decisions whose outcome is known; classes are indices, customers codes, periods numbers."""

    probabilities: NDArray[np.float32]
    assigned: Indices
    actual: Indices
    customers: Indices
    periods: Indices

    def only(self, rows: NDArray[np.bool_]) -> "Labelled":
        """Select rows by mask."""
        return Labelled(
            probabilities=self.probabilities[rows],
            assigned=self.assigned[rows],
            actual=self.actual[rows],
            customers=self.customers[rows],
            periods=self.periods[rows],
        )

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.actual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A metric as it came true (95 % interval by customer) and as it was stated for the same decisions.

    `stated_low` and `stated_high` are where the truth was to be expected; `surprising`: it lies outside.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    stated: float | None
    stated_low: float | None
    stated_high: float | None
    trained: float | None
    alarm: bool

    @property
    def surprising(self) -> bool:
        """Whether what came true lies outside of what was to be expected."""
        known = None not in (self.value, self.stated_low, self.stated_high)
        return known and not (self.stated_low or 0.0) <= (self.value or 0.0) <= (self.stated_high or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Decisions of one period (or all of them) with outcomes. `excess` is the log loss above its own expectation.

    `ranking` holds AUC, Gini and KS with intervals by customer; empty where those turned down have no outcome, because
    the others alone are ranked within a narrower range.
    """

    where: str
    rows: int
    metrics: tuple[Compared, ...]
    log_loss: float
    excess: float
    excess_error: float
    ranking: dict[str, dict[str, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What cohorts are compared with: the reference, and prices by actual and assigned class."""

    reference: Reference
    costs: Floats
    refused_unknown: bool = False


class Evidence:
    """Labelled decisions with what was stated about them and what came true, summed up."""

    def __init__(self, rows: Labelled, yardstick: Yardstick) -> None:
        """Sum up."""
        self.rows, self.yardstick = rows, yardstick
        self.probabilities = rows.probabilities.astype(np.float64)
        self.sums = Sums.of(self.probabilities, rows.assigned)
        realised = np.zeros_like(self.sums.confusion)
        np.add.at(realised, (rows.actual, rows.assigned), 1)
        self.stated = monitored(self.sums.confusion, yardstick.costs)
        self.realised = monitored(realised, yardstick.costs)
        self.claims = yardstick.reference.outputs.claims
        self.decided = Decided(
            count=len(yardstick.costs),
            actual=rows.actual,
            assigned=rows.assigned,
            customers=rows.customers,
            costs=yardstick.costs,
        )

    @property
    def outcome(self) -> Outcome:
        """The decisions with their probabilities, beside what came true."""
        return Outcome(
            classes=tuple(str(i) for i in range(len(self.yardstick.costs))),
            actual=self.rows.actual,
            assigned=self.rows.assigned,
            probabilities=self.probabilities,
            customers=self.rows.customers,
            costs=self.yardstick.costs,
        )

    def value(self, name: str) -> float | None:
        """Return a metric as it came true; None where it needs outcomes of applicants who were turned down."""
        selected = self.yardstick.refused_unknown and name != "precision"
        return None if selected else self.realised[name].value

    def error(self, name: str) -> float:
        """Return the standard error of a metric as it came true, by customer."""
        linear = self.realised[name]
        parts = linear.weight[self.rows.actual, self.rows.assigned] / max(linear.whole, 1e-12)
        return clustered_error(parts, self.rows.customers)

    def compared(self, name: str, alpha: float) -> Compared:
        """Compare one metric with what was stated, and with training."""
        value, stated, claim = self.value(name), self.stated[name], self.claims[name]
        found = figure(named(name), self.decided)
        low, high = (None, None) if value is None else (found["low"], found["high"])
        reach = (None, None) if stated.value is None else interval(name, stated, self.sums, claim)
        return Compared(
            metric=name,
            value=value,
            low=low,
            high=high,
            stated=stated.value,
            stated_low=reach[0],
            stated_high=reach[1],
            trained=claim.realised,
            alarm=self._is_worse(name, alpha),
        )

    def _is_worse(self, name: str, alpha: float) -> bool:
        """Tell whether a metric came out worse than at training by more than chance, and enough to matter."""
        value, claim = self.value(name), self.claims[name]
        if value is None or claim.realised is None or self.realised[name].whole < LEAST_ROWS:
            return False
        before = math.hypot(claim.error, claim.stated_error)
        noise = reach(normal_quantile(alpha), self.error(name), before)
        metric = named(name)
        return metric.loss(value, claim.realised) > max(noise, metric.enough(claim.realised))


def cohort(where: str, evidence: Evidence, parts: int) -> Cohort:
    """Compare what came true with what was stated, for one of `parts` parts that are looked at."""
    rows = evidence.rows
    alpha = FALSE_ALARMS / (parts * tests())
    excess = excess_log_losses(rows.probabilities, rows.actual)
    return Cohort(
        where=where,
        rows=len(rows),
        metrics=tuple(evidence.compared(name, alpha) for name in evidence.stated if name in evidence.claims),
        log_loss=float(log_losses(rows.probabilities, rows.actual).mean()),
        excess=float(excess.mean()),
        excess_error=clustered_error(excess / len(excess), rows.customers),
        ranking={} if evidence.yardstick.refused_unknown else rank(evidence.outcome, Place.COHORTS),
    )


def calibration(rows: Labelled) -> list[dict[str, Figure]]:
    """Return stated and actual share of the best class in ten bins of its probability; empty bins are left out."""
    p, best = rows.probabilities[:, -1].astype(np.float64), rows.probabilities.shape[1] - 1
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    return [
        {
            "stated": mean(p[bins == b], rows.customers[bins == b]),
            "actual": share(rows.actual == best, bins == b, rows.customers),
        }
        for b in range(_BINS)
        if (bins == b).sum() >= _LEAST_IN_A_BIN
    ]


def refused_unknown(decisions: Indices, outcomes: Indices) -> bool:
    """Tell whether only applicants who were not turned down have outcomes. Both count by assigned class."""
    coverage = outcomes / np.maximum(decisions, 1)
    return bool(decisions[0] > 0 and coverage[0] < _SELECTED and coverage[1:].max() > 4 * _SELECTED)

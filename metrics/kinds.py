"""What a metric is: a record with one of four ways to compute it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Pair = tuple[Floats, Floats]


class Unit(StrEnum):
    """What a figure counts."""

    SHARE = "share"
    MONEY = "money per application"
    NATS = "nats"
    NUMBER = "number"


class Worse(StrEnum):
    """The direction in which a figure gets worse."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Place(StrEnum):
    """Where a metric is shown."""

    EVALUATION = "evaluation"  # `credit evaluate`, `train`, `bundle show`, report and card
    POLICY = "policy"  # `credit policy`, and the points of the report's trade-off
    MONITOR = "monitor"  # stated before outcomes, compared after them
    GROUPS = "groups"  # fairness
    SLICES = "slices"  # months and slices of the report
    COHORTS = "cohorts"  # figures of ranking in `credit monitor`, by period, where outcomes are known


@dataclass(frozen=True, slots=True)
class Asked:
    """Of `count` classes, the one that is asked about (-1: the best), and money by actual and assigned class."""

    count: int
    index: int = -1
    costs: Floats | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over applications, one entry per resample: `confusion` (r x actual x assigned), `gaps` (r x classes x bins).

    `gaps` are the sums of stated minus actual, by class and bin of the stated probability.
    """

    confusion: Floats
    gaps: Floats


@dataclass(frozen=True, slots=True)
class Cells:
    """A share (or a mean of money) of cells: sum of the first weights over sum of the second, over applications.

    None where it is not known (costs). Such figures add up over any parts, follow from probabilities before outcomes
    are known, and can be told of every group.
    """

    of: Callable[[Asked], Pair | None]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over applications of something that their probabilities (rows x classes) and actual classes give."""

    of: Callable[[Floats, Classes], Floats]


@dataclass(frozen=True, slots=True)
class Whole:
    """A figure of the sums of all applications, of their decisions or of their probabilities; one per resample."""

    of: Callable[[Totals], Floats]
    of_decisions: bool


@dataclass(frozen=True, slots=True)
class Groups:
    """Applications in groups of equal scores, ascending: how many of each are positive, and negative."""

    positive: Floats
    negative: Floats


@dataclass(frozen=True, slots=True)
class Ranks:
    """A figure of the order in which probabilities put applications.

    `target` gives scores and which rows are positive from probabilities (rows x classes), actual classes and the class
    that is asked about; None where there is nothing to tell apart. `of` returns NaN without positives or negatives.
    """

    of: Callable[[Groups], float]
    target: Callable[[Floats, Classes, int], tuple[Floats, NDArray[np.bool_]] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    `label` may name `{best}`, `{worst}` and `{of}`, the class that is asked about; `short` says it without them.
    `matters` is the smallest loss that does: in the metric's unit, or, where `relative`, as a share of its value; None:
    no alarm is raised for it. `least` and `most` are the ends of what is possible. `by_class`: the evaluation holds it
    for every class, as `name_CLASS`; `index` is the class that is asked about (-1: the best).
    """

    name: str
    label: str
    short: str
    unit: Unit
    worse: Worse
    formula: str
    value: Cells | Mean | Whole | Ranks
    source: str = ""
    matters: float | None = None
    relative: bool = False
    least: float = 0.0
    most: float = np.inf
    by_class: bool = False
    index: int = -1
    places: frozenset[Place] = frozenset({Place.EVALUATION})

    def cells(self, asked: Asked) -> Pair | None:
        """Return the weights of a metric of cells (actual x assigned); None for others, and where costs are missing."""
        return self.value.of(replace(asked, index=self.index)) if isinstance(self.value, Cells) else None

    @property
    def of_decisions(self) -> bool:
        """Whether another policy changes the figure; otherwise it is one of probabilities alone."""
        return isinstance(self.value, Cells) or (isinstance(self.value, Whole) and self.value.of_decisions)

    def about(self, index: int, name: str) -> "Metric":
        """Return the metric of one class under its own name."""
        label = self.label.replace("{of}", name)
        return replace(self, name=f"{self.name}_{name}", label=label, index=index, by_class=False)

    def called(self, classes: tuple[str, ...]) -> str:
        """Return the label with the names of the classes, worst first."""
        named = self.label.replace("{best}", classes[-1]).replace("{worst}", classes[0])
        return named.replace("{of}", classes[-1])

    @property
    def ceiling(self) -> float:
        """The largest value that is possible."""
        return 1.0 if self.unit is Unit.SHARE else self.most

    def loss(self, now: float, before: float) -> float:
        """Return by how much `now` is worse than `before`; negative where it is better."""
        return now - before if self.worse is Worse.HIGHER else before - now

    def enough(self, value: float) -> float:
        """Return the smallest loss from `value` that matters, in the metric's unit; infinite where none does."""
        if self.matters is None:
            return np.inf
        return self.matters * abs(value) if self.relative else self.matters

    @property
    def enough_in_words(self) -> str:
        """The smallest loss that matters, as people say it."""
        size = self.matters or 0.0
        if self.relative:
            return f"{size:.0%} of it"
        points = f"{100 * size:.0f}"
        return f"{points} {'point' if points == '1' else 'points'}" if self.unit is Unit.SHARE else f"{size:g}"

    def shown(self, value: float | None, digits: int = 2) -> str:
        """Format a value: shares in percent, money with cents, others with four digits."""
        if value is None:
            return "not known"
        if self.unit is Unit.SHARE:
            return f"{100 * value:.{digits}f} %"
        return f"{value:,.2f}" if self.unit is Unit.MONEY else f"{value:.4f}"

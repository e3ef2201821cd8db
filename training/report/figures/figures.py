"""All figures of the report as plain data, stored in the bundle: sums and shares, never a customer's row."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from metrics import class_curves
from scoring.reasons import ShapTables
from training.data import Examples, Split
from training.evaluate.judged import Judged
from training.report.figures.background import background
from training.report.figures.curves import by_threshold, calibration, scores
from training.report.figures.histogram import histogram
from training.report.figures.importance import importance
from training.report.figures.leaks import leaks
from training.report.figures.slices import months, slices
from training.report.figures.trade_off import trade_off

__all__ = ["Sides", "judged_figures", "training_figures"]

_SLICED = 6


class HasProbabilities(Protocol):
    """A model, as far as figures look at it."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities, one column per class."""


def judged_figures(judged: Judged, tables: ShapTables) -> dict[str, Any]:
    """Compute what depends on the judged applications alone."""
    found = importance(judged, tables)
    return {
        "data": {"test": _describe(judged.examples, judged.spec.classes)},
        "thresholds": by_threshold(judged),
        "curves": class_curves(judged.outcome(judged.assigned, judged.probabilities)),
        "calibration": calibration(judged),
        "scores": scores(judged),
        "trade_off": trade_off(judged),
        "importance": found,
        "months": months(judged),
        "slices": slices(judged, [row["feature"] for row in found["features"][:_SLICED]]),
        "histogram": {"test": histogram(judged.probabilities, judged.examples.actual, judged.examples.weights)},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who learned and who was judged. Of a run by folds: the fold of each row, and the stated probabilities of each."""

    split: Split
    fold_of: NDArray[np.int64] | None = None
    stated: NDArray[np.float32] | None = None


def training_figures(judged: Judged, sides: Sides, model: HasProbabilities, tables: ShapTables) -> dict[str, Any]:
    """Compute all figures of a training run."""
    figures = judged_figures(judged, tables)
    classes, split = judged.spec.classes, sides.split
    learned = {"train": split.train} if sides.fold_of is not None else {"calibration": split.calibration}
    for name, side in learned.items():
        figures["data"][name] = _describe(side, classes)
    stated = model.probabilities(split.calibration.matrix) if sides.stated is None else sides.stated
    figures["histogram"]["calibration"] = histogram(stated, split.calibration.actual, split.calibration.weights)
    figures["background"] = background(split.calibration.matrix, judged.spec)
    known = model.probabilities(split.train.matrix) if len(split.train) else np.empty((0, len(classes)), np.float32)
    figures["leaks"] = leaks(split, judged, known, sides.fold_of)
    return figures


def _describe(examples: Examples, classes: tuple[str, ...]) -> dict[str, Any]:
    counts = np.bincount(examples.actual, minlength=len(classes))
    days = pl.Series(examples.as_of, dtype=pl.Int64).cast(pl.Datetime("us")).dt.date()
    return {
        "applications": len(examples),
        "customers": len(np.unique(examples.customers)),
        "classes": {name: int(count) for name, count in zip(classes, counts, strict=True)},
        "from": None if days.is_empty() else str(days.min()),
        "to": None if days.is_empty() else str(days.max()),
    }

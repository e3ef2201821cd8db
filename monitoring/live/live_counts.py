"""Decisions to one vector of counts, all features at once: so cheap that each decision of a door is counted.

The vector holds rows, those with a usable event, numeric features by bin (bins that a feature lacks stay empty), values
of categories, scores and classes by the bins of the bundle's reference, scores by the steps of their histogram, and the
sum of the scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Spec
from scoring.bundle import Item, Reference

Counts = NDArray[np.int64]
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Counts with their names. `matched`: rows with a usable event. `bins` and `missing` are by item.

    `points` are by the steps of the histogram of scores.
    """

    rows: int
    matched: int
    bins: tuple[Counts, ...]
    missing: tuple[int, ...]
    scores: Counts
    classes: Counts
    points: Counts
    points_sum: int


class Layout:
    """Where in the vector what is counted, for the items of one bundle."""

    def __init__(self, spec: Spec, reference: Reference | None, steps: Sequence[float]) -> None:
        """Take the bins of the reference; without one only rows, missing ones, classes and `steps` are told apart."""
        self.items = _unbinned(spec) if reference is None else reference.items
        self._classes = len(spec.classes)
        self._steps = np.array(steps)
        self._score_edges = np.array(() if reference is None else reference.outputs.score_edges)
        numbers = [item for item in self.items if not item.values]
        most = max((len(item.edges) for item in numbers), default=0)
        edges = [[*item.edges, *[np.inf] * (most - len(item.edges))] for item in numbers]  # nothing is above infinity
        self._edges = np.array(edges, dtype=np.float32).reshape(len(numbers), most, 1)
        self._number_columns = [item.columns[0] for item in numbers]
        self._value_columns = [column for item in self.items if item.values for column in item.columns]
        sizes = (1, 1, (most + 2) * len(numbers), len(self._value_columns), len(self._score_edges) + 1)
        self._ends = np.cumsum([*sizes, self._classes, len(self._steps) + 1])
        self.width = int(self._ends[-1]) + 1

    def count(
        self, matrix: Matrix, scores: NDArray[np.int32], assigned: NDArray[np.int64], matched: NDArray[np.bool_]
    ) -> Counts:
        """Count decisions: feature rows, scores in points, classes (their places, worst first), who has an event."""
        numbers = np.ascontiguousarray(matrix.T[self._number_columns])
        missing = np.isnan(numbers).sum(axis=1, keepdims=True)
        above = (numbers[:, None, :] > self._edges).view(np.uint8).sum(axis=2, dtype=np.int32)
        upto = np.hstack([len(matrix) - missing, above, np.zeros_like(missing)])
        return np.concatenate(
            [
                [len(matrix), np.count_nonzero(matched)],
                np.hstack([upto[:, :-1] - upto[:, 1:], missing]).ravel(),
                (matrix[:, self._value_columns] == 1).sum(axis=0),
                _histogram(self._score_edges, scores),
                np.bincount(assigned, minlength=self._classes),
                _histogram(self._steps, scores),
                [scores.sum()],
            ]
        ).astype(np.int64)

    def read(self, counts: Counts) -> Seen:
        """Give the counts of a vector, or of a sum of vectors, their names."""
        rows, matched, numbers, values, scores, classes, points, points_sum = np.split(counts, self._ends)
        by_bin = numbers.reshape(len(self._edges), self._edges.shape[1] + 2)
        next_number, next_value = iter(by_bin), iter(values)
        bins, missing = [], []
        for item in self.items:
            if item.values:
                own = np.array([next(next_value) for _ in item.values])
                absent = int(rows[0] - own.sum())
            else:
                row = next(next_number)
                own, absent = row[: len(item.edges) + 1], int(row[-1])
            bins.append(own)
            missing.append(absent)
        return Seen(
            rows=int(rows[0]),
            matched=int(matched[0]),
            bins=tuple(bins),
            missing=tuple(missing),
            scores=scores,
            classes=classes,
            points=points,
            points_sum=int(points_sum[0]),
        )


def _histogram(edges: NDArray[np.float64], values: NDArray[np.int32]) -> Counts:
    """Count values by bin; one that equals an edge falls below it."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def _unbinned(spec: Spec) -> tuple[Item, ...]:
    return tuple(
        Item(
            name=feature.name,
            columns=(i,),
            edges=(),
            values=(),
            counts=(),
            missing=0,
            design_effect=1.0,
            missing_design_effect=1.0,
            importance=0.0,
        )
        for i, feature in enumerate(list_features(spec))
    )

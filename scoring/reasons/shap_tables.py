"""Exact path-dependent TreeSHAP values by table look-up: what each feature adds to each class's raw score.

`model_export` makes the tables. What a leaf gives to the features of its path depends only on which conditions
of the path hold, so each tree is cut into groups of at most eight conditions, and for each of a group's patterns of
conditions the values of its leaves are summed beforehand. Serving evaluates each distinct condition once and adds up
one number per (group, feature, class). The numbers are integers, multiples of `step`: their sums are exact, so that the
bits depend neither on the order nor on the other rows of a batch.

Source: Lundberg, Erion, Lee, Consistent Individualized Feature Attribution for Tree Ensembles (2018), for the values.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from scoring.reasons.conditions import Conditions
from scoring.reasons.stored_arrays import BROKEN, read_arrays

_CHUNK_ROWS = 2048
_FEW_ROWS = 96  # up to here one pass over all entries is faster than a loop over them
_LARGEST = np.finfo(np.float32).max

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]


_KINDS = {  # of arrays that are not one row of whole numbers: kind and dimensions
    "threshold": ("f", 1),
    "at_least": ("b", 1),
    "group_conditions": ("i", 2),
    "step": ("f", 0),
    "base_values": ("f", 1),
    "scale": ("f", 1),
    "ordinal": ("b", 0),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one class looks up: its groups' conditions, and its entries, sorted by feature.

    `groups` and `tables` are the entries' groups (by place among those of the class) and the places of their tables,
    `starts` the first entries of the features in `features`. `steps` are the entries as (group, feature, table), by
    group. `totals` holds for each group, from `total_starts` on, what a pattern gives to all features together.
    """

    conditions: Conditions
    groups: Int32s
    tables: NDArray[np.intp]
    starts: NDArray[np.int64]
    features: Int32s
    steps: tuple[tuple[int, int, Int32s], ...]
    totals: NDArray[np.int64]
    total_starts: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class ShapTables:
    """The tables and what is needed to look them up. All arrays are plain numbers.

    A condition holds where `x < threshold`, or, if `at_least`, where `x >= threshold`; never where x is missing. A
    group has up to eight conditions (index `len(threshold)`: none). An entry is what one feature gets for one class in
    one group: `table[start + pattern]`, in units of `step`. `base_values` are the raw scores expected without any
    feature known, `scale` what the calibration multiplies raw scores by (1 where raw scores are probabilities).
    """

    shape: Int32s  # features, targets
    condition_feature: Int32s
    threshold: Floats
    at_least: NDArray[np.bool_]
    group_conditions: Int32s
    entry_group: Int32s
    entry_feature: Int32s
    entry_class: Int32s
    entry_start: Int32s
    table: Int32s
    step: NDArray[np.float64]
    base_values: NDArray[np.float64]
    scale: NDArray[np.float64]
    ordinal: NDArray[np.bool_] = field(default_factory=lambda: np.array(False))  # noqa: FBT003 - an array of one

    @property
    def classes(self) -> int:
        """The number of classes: one per target, and in the ordinal form one more."""
        return int(self.shape[1]) + bool(self.ordinal)

    def explained(self, assigned: int) -> tuple[int, ...]:
        """Return the targets from which reasons for the class `assigned`, and not the best, are made.

        In the ordinal form that is "better than `assigned`, given at least that"; else `assigned` and the best class.
        """
        return (assigned,) if self.ordinal else (assigned, int(self.shape[1]) - 1)

    def to_bytes(self) -> bytes:
        """Write an .npz file: arrays of numbers, no pickle, the same bytes for the same tables."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{one.name: getattr(self, one.name) for one in fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> "ShapTables":
        """Read what `to_bytes` wrote. `name` stands in messages.

        Raises:
            BundleError: not such tables.

        """
        try:
            tables = cls(**read_arrays(content, _KINDS))
            tables.check()
        except BROKEN as error:
            raise BundleError(f"{name}: not tables of contributions of this release. Publish the bundle again.") from (
                error
            )
        return tables

    def check(self) -> None:
        """Check that every index leads somewhere.

        Raises:
            ValueError: one does not.

        """
        features, classes = self.shape
        indices = (
            (self.condition_feature, features),
            (self.group_conditions, len(self.threshold) + 1),
            (self.entry_group, len(self.group_conditions)),
            (self.entry_feature, features),
            (self.entry_class, classes),
            (self.entry_start.astype(np.int64) + self._patterns_of_entry - 1, len(self.table)),
        )
        if any(len(index) and not (index.min() >= 0 and index.max() < bound) for index, bound in indices):
            raise ValueError
        if self.base_values.shape != (classes,) or self.scale.shape != (classes,) or self.ordinal.shape != ():
            raise ValueError

    @cached_property
    def _patterns_of_entry(self) -> NDArray[np.int64]:
        used = (self.group_conditions < len(self.threshold)).sum(axis=1)
        patterns: NDArray[np.int64] = (1 << used)[self.entry_group]
        return patterns

    @cached_property
    def _weights(self) -> list[float]:
        weights: list[float] = (self.scale * self.step).tolist()
        return weights

    @cached_property
    def _tells_infinity(self) -> bool:
        return bool((np.abs(self.threshold) >= _LARGEST).any())

    def _finite(self, rows: Floats) -> Floats:
        """Return rows where infinities count as the largest floats; most conditions cannot tell them apart."""
        return np.minimum(np.maximum(rows, -_LARGEST), _LARGEST) if self._tells_infinity else rows  # NaN stays

    @cached_property
    def _plans(self) -> tuple[_Plan, ...]:
        return tuple(self._plan(number) for number in range(self.shape[1]))

    def _plan(self, number: int) -> _Plan:
        entries = np.flatnonzero(self.entry_class == number)
        used, places = np.unique(self.entry_group[entries], return_inverse=True)
        conditions = Conditions(
            self.condition_feature, self.threshold, self.at_least, self.group_conditions[used].reshape(-1)
        )
        by_feature = np.argsort(self.entry_feature[entries], kind="stable")
        features, starts = np.unique(self.entry_feature[entries][by_feature], return_index=True)
        begins = self.entry_start[entries]
        ends = begins + self._patterns_of_entry[entries]
        columns = (places.tolist(), self.entry_feature[entries].tolist(), begins.tolist(), ends.tolist())
        steps = [(group, feature, self.table[a:b]) for group, feature, a, b in zip(*columns, strict=True)]
        sizes = conditions.patterns
        total_starts, totals = np.cumsum(sizes) - sizes, np.zeros(int(sizes.sum()), dtype=np.int64)
        for group, _, table in steps:
            totals[total_starts[group] : total_starts[group] + len(table)] += table
        return _Plan(
            conditions=conditions,
            groups=places[by_feature].astype(np.int32),
            tables=begins[by_feature].astype(np.intp),
            starts=starts,
            features=features,
            steps=tuple(sorted(steps, key=itemgetter(0))),
            totals=totals,
            total_starts=total_starts.astype(np.intp),
        )

    def totals(self, matrix: Floats, classes: Sequence[int]) -> NDArray[np.int64]:
        """Return classes x rows: the sums of `sums` over all features, for less work than these."""
        totals = np.zeros((len(classes), len(matrix)), dtype=np.int64)
        for start in range(0, len(matrix), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            finite = self._finite(matrix[rows])
            few = len(finite) <= _FEW_ROWS
            columns = finite if few else np.ascontiguousarray(finite.T)
            for total, number in zip(totals, classes, strict=True):
                plan = self._plans[number]
                if few:
                    given = plan.totals.take(plan.conditions.of_few(finite) + plan.total_starts)
                    np.add.reduce(given, axis=1, out=total[rows])
                    continue
                own = total[rows]
                for begin, patterns in zip(plan.total_starts.tolist(), plan.conditions.of_many(columns), strict=True):
                    own += plan.totals[begin : begin + 256].take(patterns)
        return totals

    def contributions(self, matrix: Floats) -> NDArray[np.float64]:
        """Return rows x features x classes: what each feature adds to the raw score of each class.

        Raw scores are margins (log-odds) of XGBoost models and uncalibrated probabilities of forests and trees. The
        sum over the features, plus `base_values`, is the raw score. Infinities count as the largest floats.
        """
        sums = self.sums(matrix, range(self.shape[1]))
        return np.moveaxis(sums * self.step, (0, 1, 2), (2, 1, 0))

    def against(self, matrix: Floats, assigned: int) -> NDArray[np.float64]:
        """Return features x rows: what spoke for the class `assigned` and against better ones; positive is against."""
        return self.weigh(self.sums(matrix, self.explained(assigned)), assigned)

    def weigh(self, sums: NDArray[np.int64] | Int32s, assigned: int) -> NDArray[np.float64]:
        """Return scale[assigned] * sums[0] - scale[best] * sums[1] in raw scores; ordinal: -scale[assigned] * sums[0].

        `sums` are those of the targets `explained(assigned)`, in units of `step`. With the calibration's scales these
        are log-odds of `assigned` against the best class; ordinal: against all better ones.
        """
        if self.ordinal:
            negative: NDArray[np.float64] = sums[0] * -self._weights[assigned]
            return negative
        result: NDArray[np.float64] = sums[0] * self._weights[assigned]
        result -= sums[1] * self._weights[-1]
        return result

    def sums(self, matrix: Floats, classes: Sequence[int]) -> Int32s:
        """Return classes x features x rows: contributions to these classes in units of `step`."""
        sums = np.zeros((len(classes), self.shape[0], len(matrix)), dtype=np.int32)
        for start in range(0, len(matrix), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            finite = self._finite(matrix[rows])
            if len(finite) <= _FEW_ROWS:
                self._add_few(finite, classes, sums[:, :, rows])
            else:
                self._add_many(np.ascontiguousarray(finite.T), classes, sums[:, :, rows])
        return sums

    def _add_few(self, rows: Floats, classes: Sequence[int], sums: Int32s) -> None:
        for total, number in zip(sums, classes, strict=True):
            plan = self._plans[number]
            if len(plan.groups):
                index = plan.conditions.of_few(rows).take(plan.groups, axis=1) + plan.tables
                total[plan.features] = np.add.reduceat(self.table.take(index), plan.starts, axis=1).T

    def _add_many(self, columns: Floats, classes: Sequence[int], sums: Int32s) -> None:
        for total, number in zip(sums, classes, strict=True):
            plan = self._plans[number]
            patterns = plan.conditions.of_many(columns)
            current, index = -1, np.empty(0, dtype=np.intp)
            for group, feature, table in plan.steps:
                if group != current:
                    current, index = group, patterns[group].astype(np.intp)
                row = total[feature]
                np.add(row, table.take(index), out=row)

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
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from scoring.reasons.stored_arrays import BROKEN, read_arrays

GROUP_CONDITIONS = 8  # a pattern fits one byte
_CHUNK_ROWS = 2048
_FEW_ROWS = 96  # up to here one pass over all entries is faster than a loop over them
_LARGEST = np.finfo(np.float32).max
_ONE_BIT_OF_EACH_BYTE = np.uint64(
    0x0102040810204080
)  # times eight bytes of 0 or 1: they become the bits of the highest

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]
Bytes = NDArray[np.uint8]


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
    """The entries of one class, sorted by feature; `starts` are the first entries of the features in `features`.

    `groups` and `tables` are the entries' groups and the places of their tables.
    """

    entries: Int32s
    groups: Int32s
    tables: NDArray[np.intp]
    starts: NDArray[np.int64]
    features: Int32s


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
    def _plans(self) -> tuple[_Plan, ...]:
        plans = []
        for number in range(self.shape[1]):
            entries = np.flatnonzero(self.entry_class == number)
            entries = entries[np.argsort(self.entry_feature[entries], kind="stable")]
            features, starts = np.unique(self.entry_feature[entries], return_index=True)
            groups, tables = self.entry_group[entries], self.entry_start[entries].astype(np.intp)
            plans.append(_Plan(entries.astype(np.int32), groups, tables, starts, features))
        return tuple(plans)

    @cached_property
    def _steps(self) -> tuple[tuple[tuple[int, int, Int32s], ...], ...]:
        """For each class its entries as (group, feature, table), ordered by group."""
        ends = self.entry_start + self._patterns_of_entry
        columns = (self.entry_group.tolist(), self.entry_feature.tolist(), self.entry_start.tolist(), ends.tolist())
        entries = [(group, feature, self.table[a:b]) for group, feature, a, b in zip(*columns, strict=True)]
        return tuple(tuple(entries[i] for i in sorted(plan.entries.tolist())) for plan in self._plans)

    @cached_property
    def _runs(self) -> list[tuple[int, bool, slice]]:
        """Slices of conditions of one feature and one comparison."""
        keys = self.condition_feature.astype(np.int64) * 2 + self.at_least
        bounds = np.append(np.flatnonzero(np.diff(keys, prepend=-1)), len(keys)).tolist()
        return [(int(keys[a] // 2), bool(keys[a] % 2), slice(a, b)) for a, b in pairwise(bounds)]

    @cached_property
    def _total_tables(self) -> tuple[tuple[Int32s, NDArray[np.intp], NDArray[np.int64]], ...]:
        """For each class its groups, where the table of each starts, and what a pattern gives to all features."""
        found = []
        for number in range(self.shape[1]):
            groups = np.unique(self._plans[number].groups)
            sizes = 1 << (self.group_conditions[groups] < len(self.threshold)).sum(axis=1)
            starts = np.cumsum(sizes) - sizes
            place, table = dict(zip(groups.tolist(), starts.tolist(), strict=True)), np.zeros(sizes.sum(), np.int64)
            for group, _, entry in self._steps[number]:
                table[place[group] : place[group] + len(entry)] += entry
            found.append((groups.astype(np.int32), starts.astype(np.intp), table))
        return tuple(found)

    def totals(self, matrix: Floats, classes: Sequence[int]) -> NDArray[np.int64]:
        """Return classes x rows: the sums of `sums` over all features, for less work than these."""
        totals = np.zeros((len(classes), len(matrix)), dtype=np.int64)
        for start in range(0, len(matrix), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            finite = np.minimum(np.maximum(matrix[rows], -_LARGEST), _LARGEST)
            few = self._few_patterns(finite) if len(finite) <= _FEW_ROWS else None
            columns = np.ascontiguousarray(finite.T)
            for total, number in zip(totals, classes, strict=True):
                groups, starts, table = self._total_tables[number]
                patterns = self._patterns(columns, groups) if few is None else few.take(groups, axis=1).T
                total[rows] = table.take(patterns.astype(np.intp) + starts[:, None]).sum(axis=0)
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
            negative: NDArray[np.float64] = sums[0] * (-self.scale[assigned] * self.step)
            return negative
        worse, best = self.scale[assigned] * self.step, self.scale[-1] * self.step
        result: NDArray[np.float64] = sums[0] * worse
        result -= sums[1] * best
        return result

    def sums(self, matrix: Floats, classes: Sequence[int]) -> Int32s:
        """Return classes x features x rows: contributions to these classes in units of `step`."""
        sums = np.zeros((len(classes), self.shape[0], len(matrix)), dtype=np.int32)
        for start in range(0, len(matrix), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            finite = np.minimum(np.maximum(matrix[rows], -_LARGEST), _LARGEST)  # NaN stays
            if len(finite) <= _FEW_ROWS:
                self._add_few(finite, classes, sums[:, :, rows])
            else:
                self._add_many(np.ascontiguousarray(finite.T), classes, sums[:, :, rows])
        return sums

    def _few_patterns(self, rows: Floats) -> NDArray[np.uint64]:
        """Return rows x groups; for many rows `_patterns` is faster."""
        values = rows.take(self.condition_feature, axis=1)
        holds = np.zeros((len(rows), len(self.threshold) + 1), dtype=np.bool_)
        holds[:, :-1] = np.where(self.at_least, values >= self.threshold, values < self.threshold)
        eight = holds.take(self.group_conditions, axis=1).view("<u8")[:, :, 0]
        return (eight * _ONE_BIT_OF_EACH_BYTE) >> np.uint64(56)

    def _add_few(self, rows: Floats, classes: Sequence[int], sums: Int32s) -> None:
        patterns = self._few_patterns(rows)
        for total, number in zip(sums, classes, strict=True):
            plan = self._plans[number]
            if len(plan.groups):
                index = patterns.take(plan.groups, axis=1).astype(np.intp) + plan.tables
                total[plan.features] = np.add.reduceat(self.table.take(index), plan.starts, axis=1).T

    def _add_many(self, columns: Floats, classes: Sequence[int], sums: Int32s) -> None:
        for total, number in zip(sums, classes, strict=True):
            groups = self._total_tables[number][0]
            patterns = iter(self._patterns(columns, groups))
            current, index = -1, np.empty(0, dtype=np.intp)
            for group, feature, table in self._steps[number]:
                if group != current:
                    current, index = group, next(patterns).astype(np.intp)
                row = total[feature]
                np.add(row, table.take(index), out=row)

    def _patterns(self, columns: Floats, groups: Int32s) -> Bytes:
        rows = columns.shape[1]
        holds = np.zeros((len(self.threshold) + 1, rows), dtype=np.bool_)
        for feature, at_least, run in self._runs:
            compare = np.greater_equal if at_least else np.less
            compare(columns[feature], self.threshold[run, None], out=holds[run])
        bits, patterns = holds.view(np.uint8), np.zeros((len(groups), rows), dtype=np.uint8)
        for place in range(GROUP_CONDITIONS):
            patterns |= bits[self.group_conditions[groups, place]] << np.uint8(place)
        return patterns

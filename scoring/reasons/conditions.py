"""Which conditions of trees hold for rows, as one byte for each group of at most eight of them."""

from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

GROUP_CONDITIONS = 8  # a pattern fits one byte
_ONE_BIT_OF_EACH_BYTE = np.uint64(
    0x0102040810204080
)  # times eight bytes of 0 or 1: they become the bits of the highest

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]


class Conditions:
    """Those of some groups alone, so that nothing is evaluated for trees that are not asked.

    A condition holds where `x < threshold`, or, if `at_least`, where `x >= threshold`; never where x is missing.
    """

    def __init__(self, feature: Int32s, threshold: Floats, at_least: NDArray[np.bool_], groups: Int32s) -> None:
        """Keep the conditions that these groups (rows of at most eight conditions) use."""
        none = len(threshold)
        used = np.setdiff1d(groups, [none])
        used = used[np.argsort(at_least[used], kind="stable")]
        self._feature, self._threshold, self._at_least = feature[used], threshold[used], at_least[used]
        places = np.full(none + 1, len(used), dtype=np.int32)
        places[used] = np.arange(len(used), dtype=np.int32)
        self._from = int(len(used) - at_least[used].sum())  # the first that asks for "at least"
        self._groups = places[groups].reshape(-1, GROUP_CONDITIONS)

    @property
    def patterns(self) -> NDArray[np.int64]:
        """Return how many patterns each group has."""
        counts: NDArray[np.int64] = 1 << (self._groups < len(self._threshold)).sum(axis=1)
        return counts

    @cached_property
    def _runs(self) -> list[tuple[int, bool, slice]]:
        """Slices of conditions of one feature and one comparison."""
        keys = self._feature.astype(np.int64) * 2 + self._at_least
        bounds = np.append(np.flatnonzero(np.diff(keys, prepend=-1)), len(keys)).tolist()
        return [(int(keys[a] // 2), bool(keys[a] % 2), slice(a, b)) for a, b in pairwise(bounds)]

    def of_few(self, rows: Floats) -> NDArray[np.uint8]:
        """Return the pattern of each row and group."""
        values, some = rows.take(self._feature, axis=1), self._from
        holds = np.zeros((len(rows), len(self._threshold) + 1), dtype=np.bool_)
        np.less(values[:, :some], self._threshold[:some], out=holds[:, :some])
        np.greater_equal(values[:, some:], self._threshold[some:], out=holds[:, some:-1])
        eight = holds.take(self._groups, axis=1).view("<u8")[:, :, 0]
        return (eight * _ONE_BIT_OF_EACH_BYTE).view(np.uint8)[:, 7::8]

    def of_many(self, columns: Floats) -> NDArray[np.uint8]:
        """Return the pattern of each group and row, faster where there are many; `columns` is features x rows."""
        rows = columns.shape[1]
        holds = np.zeros((len(self._threshold) + 1, rows), dtype=np.bool_)
        for feature, at_least, run in self._runs:
            compare = np.greater_equal if at_least else np.less
            compare(columns[feature], self._threshold[run, None], out=holds[run])
        bits, patterns = holds.view(np.uint8), np.zeros((len(self._groups), rows), dtype=np.uint8)
        for place in range(GROUP_CONDITIONS):
            patterns |= bits[self._groups[:, place]] << np.uint8(place)
        return patterns

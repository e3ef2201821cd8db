"""What is known of a column that a spec is drafted from, and what a kind makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells.causes import Unusable

STRIPPED = "_*"
_FIRST, _LOOKED_AT = 1000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a draft writes of a column; `keys`: further keys of the spec; `look`: what a person should look at.

    `reason`: why it is left out all the same, with its lines commented out. `certain`: the cells leave no doubt, so
    that nothing else that the column looks like counts.

    Special codes and the range of kinds that have one are found in the numbers that the kind reads.
    """

    kind: str
    note: str
    values: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    strip: str = ""
    keys: tuple[tuple[str, str | int | bool], ...] = ()
    look: str = ""
    reason: str = ""
    certain: bool = False


@dataclass(frozen=True)
class Found:
    """The different cells of a column as trimmed texts, without empty ones and without `tokens`: "not known".

    `counts`: how many rows hold each. `names_things`: digits name something and measure nothing, as in zip codes.
    """

    text: pl.Series
    tokens: tuple[str, ...]
    counts: NDArray[np.int64]
    names_things: bool = False

    @cached_property
    def bare(self) -> pl.Series:
        """The texts without characters that often stand around a number."""
        return self.text.str.strip_chars(STRIPPED)

    def share(self, pattern: str) -> float:
        """Tell in how many rows the bare text has a form, from 0 to 1."""
        return self.weight(self.bare.str.contains(pattern))

    def weight(self, wanted: pl.Series) -> float:
        """Return the share of the rows whose cells a mask selects."""
        return float(self.counts[wanted.to_numpy()].sum()) / max(int(self.counts.sum()), 1)

    def readable(self, read: Callable[[str], object]) -> float:
        """Tell in how many rows `read` makes something else than `Unusable` of the bare text.

        Looks at 1,000 cells first; of more than 20,000 at the 10,000 commonest and at as many of the others, evenly.
        What this misses is not lost in silence: a draft reads all cells by its own lines.
        """
        first = self.bare.head(_FIRST).to_list()
        usable = sum(type(read(text)) is not Unusable for text in first)
        if len(first) == _FIRST and usable < _FIRST / 2:
            return 0.0
        order = np.argsort(-self.counts, kind="stable")
        parts = [order] if len(order) <= 2 * _LOOKED_AT else [order[:_LOOKED_AT], order[_LOOKED_AT:]]
        good = sum(self._usable_rows(part, read) for part in parts)
        return good / max(int(self.counts.sum()), 1)

    def _usable_rows(self, cells: NDArray[np.int64], read: Callable[[str], object]) -> float:
        """Return of how many rows the cells are usable, from at most so many of them."""
        some = cells[:: -(-len(cells) // _LOOKED_AT)] if len(cells) > 2 * _LOOKED_AT else cells
        usable = [type(read(text)) is not Unusable for text in self.bare.gather(some).to_list()]
        counts = self.counts[some]
        share = float(counts[np.array(usable, dtype=bool)].sum()) / max(int(counts.sum()), 1)
        return share * int(self.counts[cells].sum())

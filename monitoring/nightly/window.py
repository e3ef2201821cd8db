"""The window that is watched: decisions with their features, counted block by block in bounded memory.

Only sums stay: counts by frozen bin, sums of probabilities, and the rows of a sample of customers, all by period and
door. Sums of parts add up, so blocks may come in any order and of any size.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.rejects import APPLICATIONS
from metrics import Sums
from scoring.bundle import Column, Item, Reference, count, design_effect, place

Indices = NDArray[np.int64]
Cell = tuple[int, str]  # period, door


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some decisions. `columns` are those of the feature matrix (float32, NaN missing); `assigned` class indices.

    `periods` number calendar periods of `as_of`; `customers` are codes or hashes; `door` is that of all of them.
    """

    door: str
    columns: Sequence[Column]
    probabilities: NDArray[np.float32]
    assigned: Indices
    scores: NDArray[np.int64]
    periods: Indices
    customers: NDArray[np.uint64]

    def only(self, rows: Indices | slice) -> "Block":
        """Select rows."""
        return Block(
            door=self.door,
            columns=[column[rows] for column in self.columns],
            probabilities=self.probabilities[rows],
            assigned=self.assigned[rows],
            scores=self.scores[rows],
            periods=self.periods[rows],
            customers=self.customers[rows],
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of some decisions: per item its bins and missing rows, scores by bin, and sums of probabilities."""

    rows: int
    items: tuple[Indices, ...]
    scores: Indices
    sums: Sums

    def __add__(self, other: "Tally") -> "Tally":
        """Return the counts of both."""
        items = tuple(a + b for a, b in zip(self.items, other.items, strict=True))
        return Tally(self.rows + other.rows, items, self.scores + other.scores, self.sums + other.sums)

    @property
    def classes(self) -> Indices:
        """Decisions by assigned class."""
        return np.rint(self.sums.assigned).astype(np.int64)


@dataclass(slots=True)
class Window:
    """Tallies by period and door. One customer in `sample_every` is kept for design effects.

    `dirt` counts cells of applications that became missing by column and cause, of `dirt_rows` applications: not every
    door says.
    """

    reference: Reference
    sample_every: int = 1
    cells: dict[Cell, Tally] = field(default_factory=dict)
    dirt: dict[tuple[str, str], int] = field(default_factory=dict)
    dirt_rows: int = 0
    _sample: list[Block] = field(default_factory=list)

    def add(self, block: Block) -> None:
        """Count some decisions."""
        if not len(block.assigned):
            return
        sampled = np.flatnonzero(block.customers % np.uint64(self.sample_every) == 0)
        if len(sampled):
            self._sample.append(block.only(sampled))
        for period, part in _by_period(block):
            cell, tally = (period, block.door), self._tally(part)
            self.cells[cell] = self.cells[cell] + tally if cell in self.cells else tally

    def add_dirt(self, dirt: Iterable[Mapping[str, Any]], applications: int) -> None:
        """Take what a door said about some applications: records of table, column, cause, cells."""
        self.dirt_rows += applications
        for record in dirt:
            if record["table"] == APPLICATIONS:
                key = record["column"], record["cause"]
                self.dirt[key] = self.dirt.get(key, 0) + int(record["cells"])

    def _tally(self, block: Block) -> Tally:
        items = tuple(count(item, block.columns) for item in self.reference.items)
        edges = self.reference.outputs.score_edges
        scores = np.searchsorted(np.array(edges), block.scores, side="left")
        return Tally(
            len(block.assigned),
            items,
            np.bincount(scores, minlength=len(edges) + 1),
            Sums.of(block.probabilities.astype(np.float64), block.assigned),
        )

    @property
    def periods(self) -> list[int]:
        """The periods that have decisions, in order."""
        return sorted({period for period, _ in self.cells})

    @property
    def doors(self) -> list[str]:
        """The doors that decided."""
        return sorted({door for _, door in self.cells})

    def total(self, wanted: Callable[[Cell], bool] = lambda _: True) -> Tally | None:
        """Add up the cells that are wanted; None without one."""
        return _added(tally for cell, tally in sorted(self.cells.items()) if wanted(cell))

    def effects(self) -> "Effects":
        """Estimate how far rows of one customer repeat one another, from the sample."""
        if not self._sample:
            return Effects.none(len(self.reference.items))
        columns = [np.concatenate(parts) for parts in zip(*[b.columns for b in self._sample], strict=True)]
        customers = np.concatenate([b.customers for b in self._sample])
        _, customers = np.unique(customers, return_inverse=True)
        assigned = np.concatenate([b.assigned for b in self._sample])
        found = [_effect(item, columns, customers) for item in self.reference.items]
        classes = design_effect(assigned, len(self.reference.outputs.class_counts), customers)
        return Effects(tuple(f[0] for f in found), tuple(f[1] for f in found), classes)


@dataclass(frozen=True, slots=True)
class Effects:
    """Design effects of the window: per item of its values and of its missing rate, and of scores and classes."""

    values: tuple[float, ...]
    missing: tuple[float, ...]
    outputs: float

    @classmethod
    def none(cls, items: int) -> "Effects":
        """Take each row for an independent one."""
        return cls((1.0,) * items, (1.0,) * items, 1.0)


def _effect(item: Item, columns: Sequence[Column], customers: Indices) -> tuple[float, float]:
    places, bins = place(item, columns), len(item.counts)
    return design_effect(places, bins, customers), design_effect((places == bins).astype(np.int64), 2, customers)


def _added(tallies: Iterable[Tally]) -> Tally | None:
    total: Tally | None = None
    for tally in tallies:
        total = tally if total is None else total + tally
    return total


def _by_period(block: Block) -> list[tuple[int, Block]]:
    periods = np.unique(block.periods)
    if len(periods) == 1:
        return [(int(periods[0]), block)]
    order = np.argsort(block.periods, kind="stable")
    ordered = block.only(order)
    ends = np.searchsorted(ordered.periods, periods, side="right")
    starts = [0, *ends[:-1].tolist()]
    return [
        (int(period), ordered.only(slice(start, end)))
        for period, start, end in zip(periods, starts, ends.tolist(), strict=True)
    ]

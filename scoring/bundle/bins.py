"""Frozen bins: how many rows of a feature matrix fall where, and how far rows of one customer repeat one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float32]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is watched as one: a numeric feature, or a category whose features are its values.

    `columns` are those of the feature matrix. A number falls into bin k if edges[k - 1] < x <= edges[k]; a category
    into the bin of its value. `counts` (one per bin) and `missing` are those of training; design effects say how many
    rows amount to one independent row. `importance` is the mean absolute contribution.
    """

    name: str
    columns: tuple[int, ...]
    edges: tuple[float, ...]
    values: tuple[str, ...]
    counts: tuple[int, ...]
    missing: int
    design_effect: float
    missing_design_effect: float
    importance: float

    @property
    def rows(self) -> int:
        """Rows of training, missing ones included."""
        return sum(self.counts) + self.missing

    def labels(self) -> tuple[str, ...]:
        """Name the bins."""
        if self.values:
            return self.values
        ends = [_short(edge) for edge in self.edges]
        if not ends:
            return ("any",)
        between = [f"{low} to {high}" for low, high in pairwise(ends)]
        least, first = np.float32(self.edges[0]), np.float32(self.edges[min(1, len(ends) - 1)])
        if least == np.nextafter(first, np.float32(-np.inf)):  # the bin of the smallest value alone
            return (f"under {ends[1]}", ends[1], *between[1:], f"over {ends[-1]}")
        return (f"to {ends[0]}", *between, f"over {ends[-1]}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def count(item: Item, columns: Sequence[Column]) -> Counts:
    """Count the rows in each bin, and behind them those that are missing (NaN).

    `columns` are all columns of the matrix. Edge by edge, because comparing and counting whole columns is several
    times as fast as looking each value up.
    """
    own = [columns[i] for i in item.columns]
    rows = len(own[0])
    if item.values:
        inside = [int(np.count_nonzero(column == 1)) for column in own]
        return np.array([*inside, rows - sum(inside)], dtype=np.int64)
    present = rows - int(np.count_nonzero(np.isnan(own[0])))
    upto = [int(np.count_nonzero(own[0] <= np.float32(edge))) for edge in item.edges]
    return np.append(np.diff([0, *upto, present]), rows - present).astype(np.int64)


def place(item: Item, columns: Sequence[Column]) -> Counts:
    """Return the bin of each row; missing ones come behind the last bin."""
    own = [columns[i] for i in item.columns]
    if item.values:
        found = np.full(len(own[0]), len(own), dtype=np.int64)
        for i, column in enumerate(own):
            found[column == 1] = i
        return found
    inside = sum((own[0] > np.float32(edge)).astype(np.int64) for edge in item.edges)
    return np.where(np.isnan(own[0]), len(item.edges) + 1, inside)


def quantile_edges(values: Column, bins: int = 10) -> tuple[float, ...]:
    """Return the edges of bins of about equal size; values that repeat make fewer. A constant keeps a bin of its own.

    Edges are values that occur, so that a value never lies on the other side of its own edge.
    """
    present = np.sort(values[~np.isnan(values)])
    if not len(present):
        return ()
    places = np.minimum(np.arange(1, bins) * len(present) // bins, len(present) - 1)
    edges = np.unique(present[places])
    if len(edges) > 1 and edges[-1] == present[-1]:
        edges = edges[:-1]
    if edges[0] == present[0]:  # below the smallest value there is a bin for what is new
        edges = np.append(np.nextafter(edges[0], np.float32(-np.inf)), edges)
    return tuple(float(edge) for edge in edges)


def design_effect(places: Counts, bins: int, customers: Counts) -> float:
    """Return the mean design effect of the shares of `bins` bins, where rows of one customer are alike; 1 at least.

    Source: Rao and Scott, The analysis of categorical data from complex sample surveys, JASA 76 (1981), and Ann. Stat.
    12 (1984): a chi-square statistic divided by it has about its usual distribution. Rows at or beyond `bins` are left
    out.
    """
    inside = places < bins
    places, customers = places[inside], customers[inside]
    if not len(places):
        return 1.0
    names, owner = np.unique(customers, return_inverse=True)
    if len(names) == len(places):
        return 1.0
    table = np.bincount(owner * bins + places, minlength=len(names) * bins).reshape(len(names), bins).astype(np.float64)
    sizes, shares = table.sum(axis=1), table.sum(axis=0) / len(places)
    variances = ((table - sizes[:, None] * shares) ** 2).sum(axis=0)
    seen = shares > 0
    if seen.sum() < 2:
        return 1.0
    return max(1.0, float((variances[seen] / shares[seen]).sum() / len(places) / (seen.sum() - 1)))

"""Why two bundles decide otherwise: each changed decision is put down to the parts in which they differ.

1. decide   every application by each of the two; changed is what gets another class, or is rejected by one alone
2. swap     the parts that differ, in every combination, and decide what changed again by each mixture
3. share    by Shapley's value, so that the shares of a decision add up to 1, and those of all to their number
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from compare.parts import PARTS, Swapped
from compare.shares import coalitions, in_steps, shapley, unit
from scoring.bundle import Bundle

_STEPS, _TOTAL_STEPS = 10**6, 100
_MOVE = ("before", "after")
_REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Attribution:
    """What is put down to parts that differ and are swapped together: decisions, and those that are its own wholly."""

    parts: tuple[str, ...]
    decisions: float
    alone: int

    @property
    def name(self) -> str:
        """Return the parts in one text."""
        return "+".join(self.parts)


@dataclass(frozen=True, slots=True)
class Changes:
    """`rows`: application_id, customer_id, before, after, and a share for each part; one row per changed decision."""

    bundles: tuple[str, str]
    applications: int
    rows: pl.DataFrame
    shares: tuple[Attribution, ...]

    @property
    def moves(self) -> list[dict[str, Any]]:
        """Return how many decisions went from which class to which, most first."""
        counted = self.rows.group_by("before", "after").agg(pl.len().alias("decisions"))
        return counted.sort("decisions", "before", "after", descending=[True, False, False]).to_dicts()

    def document(self) -> dict[str, Any]:
        """Return the account as JSON, with one entry per changed decision."""
        return {
            "bundles": list(self.bundles),
            "applications": self.applications,
            **self.summary(),
            "moves": self.moves,
            "decisions": self.rows.to_dicts(),
        }

    def summary(self) -> dict[str, Any]:
        """Return how many decisions are put down to which parts, as JSON."""
        return {
            "changed": self.rows.height,
            "parts": [
                {"name": one.name, "parts": list(one.parts), "decisions": one.decisions, "alone": one.alone}
                for one in self.shares
            ],
        }


def why_changed(first: Bundle, second: Bundle, applications: pl.DataFrame, events: pl.DataFrame) -> Changes:
    """Decide applications by both bundles, and say why they decide otherwise.

    Raises:
        BundleError: the bundles have other classes.
        InputError: a table lacks a column that one of them needs.

    """
    swapped = Swapped((first, second), applications, events)
    before, after = swapped.everyone(0), swapped.everyone(1)
    rows = np.flatnonzero(before != after)
    shares = _shares(swapped, rows)
    return Changes(
        bundles=(first.bundle_id, second.bundle_id),
        applications=applications.height,
        rows=_frame(swapped, rows, (before[rows], after[rows]), shares),
        shares=_totals(swapped.groups, shares),
    )


def _shares(swapped: Swapped, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the shares of each group of parts in each changed decision, in units."""
    count = len(swapped.groups)
    if not len(rows):
        return np.zeros((count, 0), dtype=np.int64)
    decided = {}
    for some in coalitions(count):
        moved = {name for number in some for name in swapped.groups[number]}
        decided[some] = swapped.outcomes(tuple(int(name in moved) for name in PARTS), rows)
    return shapley(decided)


def _totals(groups: Sequence[tuple[str, ...]], shares: NDArray[np.int64]) -> tuple[Attribution, ...]:
    whole = unit(len(groups))
    sums = in_steps(shares.sum(axis=1).tolist(), whole, _TOTAL_STEPS)
    only = (shares != 0).sum(axis=0) == 1
    alone = [int(((own == whole) & only).sum()) for own in shares]
    return tuple(Attribution(*found) for found in zip(groups, sums, alone, strict=True))


def _frame(
    swapped: Swapped,
    rows: NDArray[np.int64],
    moves: tuple[NDArray[np.int64], NDArray[np.int64]],
    shares: NDArray[np.int64],
) -> pl.DataFrame:
    names = np.array([*swapped.classes, _REJECTED], dtype=object)  # the last is that of -1, see `compare.parts`
    whole = unit(len(swapped.groups))
    rounded = [in_steps(own, whole, _STEPS) for own in shares.T.tolist()]
    columns = [
        pl.Series(name, names[codes].tolist(), dtype=pl.String) for name, codes in zip(_MOVE, moves, strict=True)
    ]
    columns += [
        pl.Series("+".join(group), [own[place] for own in rounded], dtype=pl.Float64)
        for place, group in enumerate(swapped.groups)
    ]
    ids = swapped.ids()
    own = pl.DataFrame([pl.Series("|row", rows + 1, dtype=pl.Int64), *columns])
    joined = own.join(ids, on="|row", how="left", maintain_order="left")
    return joined.select("application_id", "customer_id", *[column.name for column in columns])

"""Cleaned events that a history store gives to applications which carry none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.event_arrays import History, Int64s, concatenated
from features.rejects import EVENTS, count_dirt
from features.rfm.events import IGNORED, IGNORED_KIND, NO_UNUSABLE, Events


class Unusable(NamedTuple):
    """The first unusable event of an application's customer: 0-based row of the application, code, column."""

    row: int
    code: str
    column: str


@dataclass(frozen=True, slots=True)
class Stored:
    """`events.customers` holds 0-based rows of applications, `events.kinds` indices of the spec, or `IGNORED`.

    `ignored`: how many more events there are of kinds that the spec ignores, which could not be used anyway.
    """

    events: History
    unusable: Sequence[Unusable] = ()
    ignored: int = 0

    def counting(self) -> tuple[History, int]:
        """Return the events that count, and how many are of kinds that the spec ignores."""
        counting = self.events.kinds != IGNORED
        ignored = len(counting) - int(np.count_nonzero(counting))
        return self.events.only(counting) if ignored else self.events, ignored + self.ignored

    def added_to(self, account: Events, customer_of: Int64s) -> Events:
        """Add to the events that applications carry themselves.

        `customer_of`: by row of the application the number of its customer, negative where it was rejected.
        """
        numbers = customer_of[self.events.customers]
        own = replace(self.events, customers=numbers).only(numbers >= 0)
        counting, ignored = Stored(own).counting()
        dirt = count_dirt(EVENTS, {"kind": [IGNORED_KIND] * ignored})
        return Events(
            usable=concatenated(account.usable, counting),
            unusable=pl.concat([account.unusable, self._unusable(customer_of)]),
            rejects=account.rejects,
            dirt=[*account.dirt, *dirt],
        )

    def _unusable(self, customer_of: NDArray[np.int64]) -> pl.DataFrame:
        rows = [
            (int(customer_of[u.row]), u.code, f"events.{u.column}", None)
            for u in self.unusable
            if customer_of[u.row] >= 0
        ]
        return pl.DataFrame(rows, schema=NO_UNUSABLE.schema, orient="row")

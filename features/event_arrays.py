"""Usable events as arrays, and which of them an application may see."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["History", "Int64s"]

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Events in any order: number of the customer, microseconds since 1970, index of the kind, minor units.

    `known_at` holds microseconds too, NaN where an event was known as it occurred; None where all were. Float64 holds
    every instant in range exactly.
    """

    customers: Int64s
    occurred_at: Int64s
    kinds: Int64s
    amounts: Int64s
    known_at: Float64s | None = None

    def only(self, wanted: NDArray[np.bool_] | Int64s) -> "History":
        """Select events by mask or by position."""
        return History(
            customers=self.customers[wanted],
            occurred_at=self.occurred_at[wanted],
            kinds=self.kinds[wanted],
            amounts=self.amounts[wanted],
            known_at=None if self.known_at is None else self.known_at[wanted],
        )

    def joined(self, other: "History") -> "History":
        """Add other events; `known_at` is not kept."""
        return History(
            customers=np.concatenate([self.customers, other.customers]),
            occurred_at=np.concatenate([self.occurred_at, other.occurred_at]),
            kinds=np.concatenate([self.kinds, other.kinds]),
            amounts=np.concatenate([self.amounts, other.amounts]),
        )


def concatenated(first: History, second: History) -> History:
    """Return the events of both, with what is known of when they were recorded."""
    known_at = None
    if first.known_at is not None or second.known_at is not None:
        known_at = np.concatenate([_known_at(first), _known_at(second)])
    return replace(first.joined(second), known_at=known_at)


def _known_at(events: History) -> Float64s:
    return np.full(len(events.customers), np.nan) if events.known_at is None else events.known_at


def own_histories(customers: Int64s, as_of: Int64s, events: History) -> tuple[Int64s, History]:
    """Give each application that must not see some event of its customer a customer of its own, who lacks it.

    Only events recorded after the fact can be hidden (`occurred_at < as_of < known_at`), and they are few.
    """
    if events.known_at is None:
        return customers, events
    late = np.flatnonzero(events.known_at > events.occurred_at)
    of_late, application = _equal_pairs(events.customers[late], customers)
    event, moment = late[of_late], as_of[application]
    hidden = (events.occurred_at[event] < moment) & (moment < events.known_at[event])
    affected = np.unique(application[hidden])
    if len(affected) == 0:
        return customers, events
    # Events of customers whose applications were rejected are still here: a clone must not bear one of their numbers.
    unused = 1 + max(int(customers.max()), int(events.customers.max()))
    touched = np.flatnonzero(np.isin(events.customers, customers[affected]))
    of_touched, clone = _equal_pairs(events.customers[touched], customers[affected])
    event = touched[of_touched]
    unseen = events.known_at[event] > as_of[affected[clone]]
    seen = replace(events.only(event[~unseen]), customers=unused + clone[~unseen])
    customers = customers.copy()
    customers[affected] = unused + np.arange(len(affected))
    return customers, events.joined(seen)


def _equal_pairs(left: Int64s, right: Int64s) -> tuple[Int64s, Int64s]:
    """Return the positions of all pairs of equal numbers, in the order of `left`."""
    order = np.argsort(right, kind="stable")
    low, high = (np.searchsorted(right[order], left, side=side) for side in ("left", "right"))
    count = high - low
    first = np.cumsum(count) - count
    within = np.arange(count.sum()) - np.repeat(first, count)
    return np.repeat(np.arange(len(left)), count), order[np.repeat(low, count) + within]

"""How many applications have a history: at least one event before `as_of`, of the spec's kinds, known in time.

An application without one is scored all the same, as somebody without a history; so only a count shows that a join went
wrong. All figures add up over partitions of whole customers.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.event_arrays import History, Int64s
from features.spec.contract import MICROSECONDS_PER_DAY, Spec

_NEVER, _ALWAYS = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Usable applications, those with a usable event, and of these the ones with an event in the longest window.

    `customers`, `matched_customers`: the same by customer. `events`: events that some application used, by kind.
    """

    applications: int = 0
    matched_applications: int = 0
    recent_applications: int = 0
    customers: int = 0
    matched_customers: int = 0
    events: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """Share of the applications with a usable event; None without applications."""
        return self.matched_applications / self.applications if self.applications else None

    def __add__(self, other: "Matches") -> "Matches":
        """Add those of other customers."""
        return Matches(
            applications=self.applications + other.applications,
            matched_applications=self.matched_applications + other.matched_applications,
            recent_applications=self.recent_applications + other.recent_applications,
            customers=self.customers + other.customers,
            matched_customers=self.matched_customers + other.matched_customers,
            events={
                kind: self.events.get(kind, 0) + other.events.get(kind, 0) for kind in {**self.events, **other.events}
            },
        )


NO_MATCHES = Matches()


@dataclass(frozen=True, slots=True)
class Matching:
    """Which applications have a usable event, in their order, and the counts."""

    mask: NDArray[np.bool_]
    counts: Matches


def match(customers: Int64s, as_of: Int64s, events: History, spec: Spec) -> Matching:
    """Count the matches of applications (number of the customer, `as_of` in microseconds) with their events.

    `recent_applications` takes a customer's latest used event for all of its applications.
    """
    size = 1 + max(int(customers.max(initial=-1)), int(events.customers.max(initial=-1)))
    last = np.full(size, _ALWAYS)
    np.maximum.at(last, customers, as_of)
    known = _known_from(events)
    used = known <= last[events.customers]
    all_used = bool(used.all())
    first, latest = np.full(size, _NEVER), np.full(size, _ALWAYS)
    np.minimum.at(first, events.customers, known)
    np.maximum.at(
        latest, events.customers, events.occurred_at if all_used else np.where(used, events.occurred_at, _ALWAYS)
    )
    mask = first[customers] <= as_of
    days = max((group.windows_days[-1] for group in spec.groups), default=0)
    by_kind = np.bincount(events.kinds if all_used else events.kinds[used], minlength=len(spec.event_kinds)).tolist()
    counts = Matches(
        applications=len(customers),
        matched_applications=int(np.count_nonzero(mask)),
        recent_applications=int(np.count_nonzero(mask & (latest[customers] >= as_of - days * MICROSECONDS_PER_DAY))),
        customers=int(np.count_nonzero(last != _ALWAYS)),
        matched_customers=int(np.count_nonzero(first <= last)) if size else 0,
        events=dict(zip(spec.event_kinds, by_kind, strict=True)),
    )
    return Matching(mask, counts)


def _known_from(events: History) -> Int64s:
    """Return the first `as_of` (microseconds) that may use each event: after it occurred, not before it was known."""
    known: Int64s = events.occurred_at + 1
    if events.known_at is not None:
        late = np.flatnonzero(events.known_at > events.occurred_at)  # NaN, known as it occurred, is not
        known[late] = events.known_at[late].astype(np.int64)
    return known

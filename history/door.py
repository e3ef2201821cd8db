"""What a door asks a store: the events of applications that carry none, checked and in the spec's numbers.

An application is decided on what one snapshot of the store holds, or it is refused with a code; never on less.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.applications import text_reader
from features.errors import DeliveryError
from features.event_arrays import History
from features.rfm import IGNORED, Stored, Unusable
from features.spec.contract import MICROSECONDS_PER_DAY, Spec
from history.opening import open_store
from history.records import CONTROL, NEVER, Customer, Snapshot, State, kept_as, visible
from history.store import HistoryStore, window_microseconds
from history.texts import message_events
from scoring.message import Found, Lacking, Refusal, Used, Watermark, read_watermark

MOST_EVENTS = 200_000  # of a customer
MOST_IN_RECEIPT = 4_000  # where a receipt with all of them must fit into a message of a megabyte
_UNKNOWN = -2
_RETRY_S = 0.005
_UNKNOWN_KIND = "event_kind_unknown_category"
Clock = Callable[[], float]
Count = Callable[[int, int], None]  # customers who were looked up for decisions, and those whom the store does not know


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_age_s`: a store whose filler was last alive longer ago is behind. `wait_s`: for what must have been seen."""

    max_age_s: float = 30.0
    wait_s: float = 0.0
    most_events: int = MOST_EVENTS


class Histories:
    """Looks up what messages lack. Safe to share between threads."""

    def __init__(
        self,
        store: HistoryStore,
        spec: Spec,
        limits: Limits,
        now: Clock = time.time,
        count: Count = lambda _customers, _unknown: None,
    ) -> None:
        """Hold the store against the spec. `now`: seconds since 1970.

        Raises:
            SettingsError: the store was made for another spec.

        """
        store.settings.check(spec, store.where)
        self.store, self._spec, self._limits, self._now = store, spec, limits, now
        self._window = window_microseconds(spec)
        self._retention = store.settings.retention_days * MICROSECONDS_PER_DAY
        self._index = {kind: i for i, kind in enumerate(spec.event_kinds)} | dict.fromkeys(spec.ignored_kinds, IGNORED)
        self._table = lru_cache(maxsize=4)(self._kind_table)
        self._count = count

    def behind(self) -> bool:
        """Return whether the store cannot be read, or whoever fills it is no longer alive."""
        try:
            return self._is_old(self.store.state())
        except DeliveryError:
            return True

    def lag(self) -> tuple[float, float] | None:
        """Return how many events, and for how many seconds, the store is behind the topic; None: nobody fills it."""
        try:
            state = self.store.state()
        except DeliveryError:
            return math.inf, math.inf
        if not state.heartbeat:
            return None
        lacking = [max(0, end - state.positions.get(name, 0)) for name, end in state.ends.items()]
        return sum(lacking), max(0.0, self._now() - state.heartbeat)

    def __call__(self, lacking: Sequence[Lacking]) -> Found:
        """Look up all of them at once; see `scoring.message.found_histories`."""
        as_of = self._as_of([one.as_of for one in lacking])
        try:
            snapshot = self._read([kept_as(one.customer_id) for one in lacking], lacking)
        except DeliveryError:
            return Found(_NOTHING, refusals=dict.fromkeys((one.row for one in lacking), _BEHIND))
        refusals = {}
        for one, instant, customer in zip(lacking, as_of, snapshot.customers, strict=True):
            refusal = self._refusal(one, instant, customer, snapshot.state)
            if refusal is not None:
                refusals[one.row] = refusal
        if refusals:
            return Found(_NOTHING, refusals=refusals)
        return self._found(lacking, snapshot)

    def _read(self, names: Sequence[str], lacking: Sequence[Lacking]) -> Snapshot:
        """Read once, and again while something lacks that must have been seen and there is time."""
        until = time.monotonic() + self._limits.wait_s
        while True:
            snapshot = self.store.read(names)
            if all(_has_seen(one, snapshot.state) for one in lacking) or time.monotonic() >= until:
                pairs = zip(lacking, snapshot.customers, strict=True)
                return Snapshot(snapshot.state, [visible(customer, _positions(one)) for one, customer in pairs])
            time.sleep(_RETRY_S)

    def _refusal(self, one: Lacking, as_of: int | None, customer: Customer, state: State) -> Refusal | None:
        if one.at is None and self._is_old(state):
            return _BEHIND
        gone = None if one.at is None else _gone(state, read_watermark(one.at), customer)
        if gone is not None:
            return gone
        if not _has_seen(one, state):
            return Refusal.of("history_behind", "/history")
        if state.complete_since is None or (as_of is not None and max(0, as_of - self._window) < state.complete_since):
            return Refusal.of("history_incomplete", "/as_of")
        if len(customer.records) > self._limits.most_events:
            return Refusal.of("history_too_long", "/customer_id")
        return None

    def _is_old(self, state: State) -> bool:
        return state.heartbeat > 0 and self._now() - state.heartbeat > self._limits.max_age_s

    def _as_of(self, cells: list[str | None]) -> list[int | None]:
        values, _ = text_reader(self._spec).read_texts("as_of", cells)
        return values

    def _found(self, lacking: Sequence[Lacking], snapshot: Snapshot) -> Found:
        state, table = snapshot.state, self._table(snapshot.state.kinds)
        records = np.concatenate([customer.records for customer in snapshot.customers])
        rows = np.repeat([one.row for one in lacking], [len(customer.records) for customer in snapshot.customers])
        kinds = table[records["kind"]]
        late = records["recorded_at"]
        known_at = None if (late == NEVER).all() else np.where(late == NEVER, np.nan, late)
        history = History(
            customers=rows.astype(np.int64),
            occurred_at=records["occurred_at"].astype(np.int64),
            kinds=kinds,
            amounts=records["amount"].astype(np.int64),
            known_at=known_at,
        )
        unusable, ignored = self._unusable(lacking, snapshot, table)
        if unusable:
            history = history.only(kinds != _UNKNOWN)
        unknown = sum(not len(customer.records) and not customer.notes.unusable for customer in snapshot.customers)
        self._count(len(snapshot.customers), unknown)
        return Found(Stored(history, unusable, ignored), self._used(lacking, snapshot.customers, state))

    def _unusable(
        self, lacking: Sequence[Lacking], snapshot: Snapshot, table: NDArray[np.int64]
    ) -> tuple[list[Unusable], int]:
        """Return the first event of each customer that cannot be used, in the order of places."""
        found, ignored = [], 0
        for one, customer in zip(lacking, snapshot.customers, strict=True):
            records = customer.records
            strange = records[table[records["kind"]] == _UNKNOWN][:1]
            bad = [((r["partition"], r["offset"]), _UNKNOWN_KIND, "kind") for r in strange]
            for event in customer.notes.unusable:
                kind = (event.cells.get("kind") or "").strip()
                ignored += self._index.get(kind) == IGNORED
                if kind and kind not in self._index:
                    bad.append(((event.partition, event.offset), _UNKNOWN_KIND, "kind"))
                elif self._index.get(kind) != IGNORED:
                    bad.append(((event.partition, event.offset), event.code, event.column))
            found += [Unusable(one.row, code, column) for _, code, column in sorted(bad)[:1]]
        return found, ignored

    def _kind_table(self, kinds: tuple[str, ...]) -> NDArray[np.int64]:
        """Return by the store's number of a kind its index in the spec."""
        return np.array([self._index.get(kind, _UNKNOWN) for kind in kinds], dtype=np.int64)

    def _used(self, lacking: Sequence[Lacking], customers: Sequence[Customer], state: State) -> Mapping[int, Used]:
        watermark = msgspec.json.encode(Watermark(state.topic, state.topic_id, state.positions))
        digits = self._spec.currency.minor_digits
        return {
            one.row: Used(one.at or watermark, partial(message_events, customer.records, state.kinds, digits))
            for one, customer in zip(lacking, customers, strict=True)
        }


class DoorHistories:
    """What a door looks up: its store is opened when a bundle first needs it, and asked by each bundle in service."""

    def __init__(self, address: str, limits: Limits, count: Count, nobody_fills: Callable[[str], None]) -> None:
        """Open nothing yet. `nobody_fills` is told of a store that no process fills from a topic."""
        self._address, self._limits, self._count, self._nobody_fills = address, limits, count, nobody_fills
        self._store: HistoryStore | None = None
        self._asked: Histories | None = None

    def of(self, spec: Spec) -> Histories | None:
        """Return what looks up for a bundle of this spec; None where that measures no events.

        Raises:
            SettingsError: there is no store, or it was made for another spec.
            DeliveryError: its server does not answer.

        """
        if not spec.groups:
            return None
        if self._store is None:
            self._store = open_store(self._address)
            if not self._store.state().heartbeat:
                self._nobody_fills(self._store.where)
        self._asked = Histories(self._store, spec, self._limits, count=self._count)
        return self._asked

    def lag(self) -> tuple[float, float] | None:
        """Return how far the store is behind; see `Histories.lag`."""
        return None if self._asked is None else self._asked.lag()


def _positions(one: Lacking) -> dict[str, int] | None:
    """Return the positions of the decision that is made again."""
    return None if one.at is None else read_watermark(one.at).positions


def _gone(state: State, then: Watermark, customer: Customer) -> Refusal | None:
    """Return why what an earlier decision saw is not there: never again, or not yet in a store that went back."""
    erased = customer.erased is not None and customer.erased.control >= then.positions.get(CONTROL, 0)
    short = [name for name, seen in then.positions.items() if state.positions.get(name, 0) < seen]
    if erased or then.topic_id != state.topic_id or not all(map(_is_of_topic, short)):
        return Refusal.of("history_incomplete", "/history")
    return _BEHIND if short else None


def _is_of_topic(name: str) -> bool:
    return name.isdecimal() or name == CONTROL


def _has_seen(one: Lacking, state: State) -> bool:
    seen = one.seen
    return seen is None or state.positions.get(str(seen.partition), 0) > seen.offset


_BEHIND = Refusal.of("history_behind", "")
_NOTHING = Stored(
    History(
        customers=np.empty(0, np.int64),
        occurred_at=np.empty(0, np.int64),
        kinds=np.empty(0, np.int64),
        amounts=np.empty(0, np.int64),
    )
)

"""Why the batch of today decides otherwise than a live decision did: what came, or went, behind its watermark."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.spec.contract import Spec
from history import CONTROL, NEVER, RECORD, Customer, Positions, Records, State, before, visible, window_microseconds

LATE, VOIDED, ERASED, EXPIRED, DEFECT = "late", "voided", "erased", "expired", "defect"
CAUSES = (LATE, VOIDED, ERASED, EXPIRED)
_EVENT = ["occurred_at", "recorded_at", "amount", "kind"]
Places = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Held:
    """What a decision is held against: the events of its receipt, and what the store holds of the customer now."""

    used: Records
    customer: Customer
    positions: Positions
    as_of: int


@dataclass(slots=True)
class Found:
    """The causes by name, with the places of events where they have any; `broken`: the events used were others."""

    causes: dict[str, Places] = field(default_factory=dict)
    broken: bool = False


class Causes:
    """Tells what has changed for decisions of one spec since they were made."""

    def __init__(self, spec: Spec) -> None:
        """Take windows and kinds of the spec."""
        self._window, self._ignored = window_microseconds(spec), frozenset(spec.ignored_kinds)

    def __call__(self, held: Held, state: State, kinds: Sequence[str]) -> Found:
        """Name what differs between the events used, those at the watermark, and those of now. `kinds`: by number."""
        found = Found()
        then, now = visible(held.customer, held.positions), visible(held.customer, None)
        self._compare(found, held, then.records, state, kinds)
        late = now.records[~before(now.records, held.positions)]
        self._add(found, LATE, _places(late[self._counts(late, held.as_of, kinds)]))
        unusable = [m for m in now.notes.unusable if m.offset >= held.positions.get(str(m.partition), 0)]
        wrong = [m for m in unusable if (m.cells.get("kind") or "").strip() not in self._ignored]
        self._add(found, LATE, [(m.partition, m.offset) for m in wrong])
        taken = {
            (v.partition, v.offset) for v in held.customer.notes.voids if v.control >= held.positions.get(CONTROL, 0)
        }
        counting = then.records[self._counts(then.records, held.as_of, kinds)]
        self._add(found, VOIDED, [place for place in _places(counting) if place in taken])
        return found

    def _compare(self, found: Found, held: Held, then: Records, state: State, kinds: Sequence[str]) -> None:
        """Hold the events used against those at the watermark; events that are gone since must have a reason."""
        if np.array_equal(held.used[_EVENT], then[_EVENT]):
            return
        used, there = (Counter(records[_EVENT].tolist()) for records in (held.used, then))
        gone, erased = list((used - there).elements()), held.customer.erased
        name = ERASED if erased is not None and erased.control >= held.positions.get(CONTROL, 0) else EXPIRED
        since = state.complete_since or 0
        found.broken = bool(there - used) or (name == EXPIRED and any(event[0] >= since for event in gone))
        if any(self._counts(_record(event), held.as_of, kinds)[0] for event in gone):
            self._add(found, name, [], known=True)

    def _counts(self, records: Records, as_of: int, kinds: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which events may count for an application; those of unknown kinds do, since they refuse it."""
        occurred, recorded = records["occurred_at"], records["recorded_at"]
        ignored = np.array([kind in self._ignored for kind in kinds], dtype=bool)
        inside = (occurred < as_of) & (occurred >= as_of - self._window)
        found: NDArray[np.bool_] = inside & ((recorded == NEVER) | (recorded <= as_of)) & ~ignored[records["kind"]]
        return found

    def _add(self, found: Found, name: str, places: Places, *, known: bool = False) -> None:
        if places or known:
            found.causes.setdefault(name, []).extend(places)


def _record(event: tuple[int, ...]) -> Records:
    record = np.zeros(1, RECORD)
    for name, value in zip(_EVENT, event, strict=True):
        record[name] = value
    return record


def _places(records: Records) -> Places:
    return list(zip(records["partition"].tolist(), records["offset"].tolist(), strict=True))


def texts(causes: Mapping[str, Collection[tuple[int, int]]]) -> dict[str, list[str]]:
    """Write places as PARTITION:OFFSET."""
    return {name: [f"{partition}:{offset}" for partition, offset in places] for name, places in causes.items()}

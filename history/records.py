"""What a history store holds of one customer, and what one transaction changes.

An event is identified by its place: partition and offset in the topic of events. Events of a loaded file have a
negative partition, one for each file, and the number of their row. So reading again never doubles.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.applications import MOST_ID_BYTES
from features.cells.texts import WHITE_SPACE

NEVER = -1  # in `recorded_at`: known as it occurred
RECORD = np.dtype(
    [
        ("partition", "<i4"),
        ("offset", "<i8"),
        ("occurred_at", "<i8"),  # microseconds since 1970
        ("recorded_at", "<i8"),  # the same, or NEVER
        ("amount", "<i8"),  # minor units
        ("kind", "<u2"),  # number in the store's own list of kinds
    ]
)
Records = NDArray[np.void]  # of RECORD
Positions = Mapping[str, int]  # next offset by partition of the events ("0"), of the control topic, of loaded files
CONTROL = "control"


_NO_ID = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def kept_as(cell: str | None) -> str:
    """Return the id under which a customer's events are kept; empty where no customer can have it."""
    name = (cell or "").strip(WHITE_SPACE)
    return "" if _NO_ID.search(name) or len(name.encode()) > MOST_ID_BYTES else name


class UnusableEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that cannot be used: why, and its cells as they came, so that a night batch refuses it as well."""

    partition: int
    offset: int
    code: str
    column: str
    cells: dict[str, str | None]
    at: int  # the record's timestamp, microseconds since 1970


class Void(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event was taken back, by the message at the offset `control` of the control topic."""

    partition: int
    offset: int
    control: int


class Notes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a customer beside events."""

    unusable: list[UnusableEvent] = []
    voids: list[Void] = []


class Erasure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that was known of a customer up to these positions is gone; `control` is the place of the message."""

    until: dict[str, int]
    control: int

    def hides(self, partition: int, offset: int) -> bool:
        """Return whether an event is among the erased; those of files always are."""
        return partition < 0 or offset < self.until.get(str(partition), 0)


NO_NOTES = Notes()


@dataclass(frozen=True, slots=True)
class Customer:
    """What a store holds of one customer."""

    records: Records
    notes: Notes = NO_NOTES
    erased: Erasure | None = None


NOBODY = Customer(np.empty(0, RECORD))


class State(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a store knows of itself.

    `kinds`: its own list, append-only. `complete_since`: all events from this instant on are there (microseconds).
    `heartbeat`: when whoever fills it was last alive, and up to where the topic went then; 0: nobody ever did.
    """

    positions: dict[str, int] = {}
    kinds: tuple[str, ...] = ()
    complete_since: int | None = None
    heartbeat: float = 0.0
    ends: dict[str, int] = {}
    topic: str = ""
    topic_id: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State and customers, read at one instant."""

    state: State
    customers: list[Customer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All that one transaction writes. It is refused unless the store's positions are those of `before`.

    `events`: by customer. `after`: the new state.
    """

    before: State
    after: State
    events: Mapping[str, Records] = field(default_factory=dict)
    unusable: Sequence[tuple[str, UnusableEvent]] = ()
    voids: Sequence[tuple[str, Void]] = ()
    erasures: Sequence[tuple[str, Erasure]] = ()


def visible(customer: Customer, at: Positions | None) -> Customer:
    """Return what was there at the positions `at`, in the order of places; None: all of it."""
    records, notes = customer.records, customer.notes
    if at is not None:
        records, notes = records[before(records, at)], _notes_at(notes, at)
    gone = {(void.partition, void.offset) for void in notes.voids}
    if gone:
        kept = [place not in gone for place in _places(records)]
        records = records[np.array(kept, dtype=bool)]
    unusable = sorted(
        (m for m in notes.unusable if (m.partition, m.offset) not in gone), key=lambda m: (m.partition, m.offset)
    )
    if len(records) > 1 and _is_mixed(records["partition"]):
        records = records[np.lexsort((records["offset"], records["partition"]))]
    return Customer(records, Notes(unusable, notes.voids), customer.erased)


def _is_mixed(partitions: NDArray[np.int32]) -> bool:
    return bool((partitions != partitions[0]).any())


def _places(records: Records) -> list[tuple[int, int]]:
    return list(zip(records["partition"].tolist(), records["offset"].tolist(), strict=True))


def before(records: Records, at: Positions) -> NDArray[np.bool_]:
    """Tell which events lie before the positions."""
    partitions = records["partition"]
    found = np.zeros(len(records), dtype=bool)
    for partition in set(partitions.tolist()):
        found |= (partitions == partition) & (records["offset"] < at.get(str(partition), 0))
    return found


def _notes_at(notes: Notes, at: Positions) -> Notes:
    unusable = [m for m in notes.unusable if m.offset < at.get(str(m.partition), 0)]
    return Notes(unusable, [v for v in notes.voids if v.control < at.get(CONTROL, 0)])


def without_erased(records: Records, erased: Erasure | None) -> Records:
    """Leave out what was erased already."""
    if erased is None:
        return records
    kept = [not erased.hides(*place) for place in _places(records)]
    rest: Records = records[np.array(kept, dtype=bool)]
    return rest


def name_of(customer: str, salt: str) -> bytes:
    """Return the hash under which it is remembered that a customer was erased."""
    return blake2b(customer.encode(), digest_size=16, key=bytes.fromhex(salt)).digest()


def expired(state: State, before: int) -> State:
    """Return a state whose events are complete only from an instant on: said first, removed then."""
    since = state.complete_since
    return state if since is None else msgspec.structs.replace(state, complete_since=max(since, before))

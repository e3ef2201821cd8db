"""Messages of the topic of events, and of its control topic, as what a history store takes.

An event is a JSON object `{"customer_id", "occurred_at", "kind", "amount", "recorded_at"?}`; other fields are passed
over. The control topic takes `{"erase": {"customer_id", "until": {"0": 1234}}}` and
`{"void": {"customer_id", "partition", "offset"}}`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

from history import Erasure, Places, Void, kept_as
from scoring.message import Refusal
from stream.client.records import Message

SCHEMA_VERSION = 1
_COLUMNS = ("customer_id", "occurred_at", "kind", "amount", "recorded_at")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)

Refused = list[tuple[Message, Refusal]]


class _NumberText(str):
    """A number as it is written."""

    __slots__ = ()


class _Event(msgspec.Struct, gc=False):
    customer_id: Any = None
    occurred_at: Any = None
    kind: Any = None
    amount: Any = None
    recorded_at: Any = None
    schema_version: int = SCHEMA_VERSION


_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Place(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    customer_id: str
    partition: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    offset: _Offset


class _Erase(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    customer_id: str
    until: dict[Annotated[str, msgspec.Meta(pattern="^[0-9]{1,9}$")], _Offset]


class _Control(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    void: _Place | None = None
    erase: _Erase | None = None


_event = msgspec.json.Decoder(_Event, float_hook=_NumberText).decode
_control = msgspec.json.Decoder(_Control).decode


@dataclass(frozen=True, slots=True)
class Events:
    """The canonical table of those that could be read, the messages and places that its rows come from; the others.

    `newer`: messages that state a version which this release does not know.
    """

    table: pl.DataFrame
    messages: list[Message]
    places: Places
    refused: Refused
    newer: list[Message]


def read_events(messages: Sequence[Message], point: str = ".") -> Events:
    """Read messages; nothing in one raises. `point`: how the spec writes decimals in texts."""
    rows, kept, refused, newer = [], [], [], []
    for message in messages:
        try:
            event = _event(message.value or b"")
        except _BROKEN:
            code = "message_not_json" if message.value is not None else "message_tombstone"
            refused.append((message, Refusal.of(code)))
            continue
        if event.schema_version != SCHEMA_VERSION:
            newer.append(message)
            continue
        rows.append([_text(getattr(event, name), point) for name in _COLUMNS])
        kept.append(message)
    table = pl.DataFrame(rows, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row")
    return Events(table, kept, _places(kept), refused, newer)


def _text(cell: Any, point: str) -> str | None:
    """Return a cell as text; of what is no cell its JSON, which no column can use."""
    if type(cell) is _NumberText:
        return cell.replace(".", point)
    if cell is None or isinstance(cell, str):
        return None if cell is None else str(cell)
    return str(cell) if type(cell) is int else msgspec.json.encode(cell).decode()


def _places(messages: Sequence[Message]) -> Places:
    rows = [(m.partition, m.offset, m.timestamp_ms * 1000) for m in messages]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Places(columns[0], columns[1], columns[2])


@dataclass(frozen=True, slots=True)
class Controls:
    """What control messages ask for."""

    erasures: list[tuple[str, Erasure]]
    voids: list[tuple[str, Void]]
    refused: Refused


def read_controls(messages: Sequence[Message]) -> Controls:
    """Read control messages; nothing in one raises."""
    found = Controls([], [], [])
    for message in messages:
        try:
            control = _control(message.value or b"")
        except _BROKEN:
            control = _Control()
        asked = control.erase or control.void
        name = "" if asked is None else kept_as(asked.customer_id)
        if not name:
            code = "message_not_json" if asked is None else "event_customer_id_unusable"
            found.refused.append((message, Refusal.of(code)))
        elif isinstance(asked, _Erase):
            found.erasures.append((name, Erasure(asked.until, message.offset)))
        elif isinstance(asked, _Place):
            found.voids.append((name, Void(asked.partition, asked.offset, message.offset)))
    return found


def erase_message(customer: str, until: dict[str, int]) -> bytes:
    """Return the control message that erases what lies before these positions of a customer."""
    return msgspec.json.encode({"erase": {"customer_id": customer, "until": until}})


def void_message(customer: str, partition: int, offset: int) -> bytes:
    """Return the control message that takes one event back."""
    return msgspec.json.encode({"void": {"customer_id": customer, "partition": partition, "offset": offset}})

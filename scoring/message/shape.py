"""The shape of a message: an application, with its events or with what of them must have been seen."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType


class Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One account event."""

    occurred_at: str | None
    kind: str | None
    amount: Any
    recorded_at: str | UnsetType | None = UNSET


class Seen(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """An event that a decision must have seen: its place in the topic of events."""

    partition: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    offset: Annotated[int, msgspec.Meta(ge=0, lt=2**63 - 1)]


class Application(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One application."""

    application_id: str | None
    customer_id: str | None
    as_of: str | None
    attributes: dict[str, Any]
    events: list[Event] | UnsetType = UNSET
    history: Seen | UnsetType = UNSET
    schema_version: int | UnsetType = UNSET

    @property
    def carried(self) -> list[Event]:
        """The events that it brings."""
        return [] if self.events is UNSET else self.events


class RawEvent(msgspec.Struct, gc=False):
    """The amount of an event as it is sent."""

    amount: msgspec.Raw = msgspec.Raw(b"0")


class RawApplication(msgspec.Struct, gc=False):
    """The cells as they are sent: a list in the place of one is not built."""

    attributes: dict[str, msgspec.Raw] = {}
    events: list[RawEvent] = []


@dataclass(frozen=True, slots=True)
class Lacking:
    """An application that carries no events: its row among those that were carried, and its cells as they were sent.

    `at`: the watermark of an earlier decision, on which it is decided again.
    """

    row: int
    customer_id: str | None
    as_of: str | None
    seen: Seen | None
    at: bytes | None = None

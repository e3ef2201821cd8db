"""What the scorer of messages asks a history store, and what it gets. Which store that is, it does not know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from features.rfm import Stored
from scoring.message.decoder import Refusal
from scoring.message.shape import Lacking


class Watermark(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Up to where a decision has seen a history: next offset by partition of the topic of events, and of what else.

    See `history.records.Positions`. `topic_id` tells a topic from one of the same name that was made anew.
    """

    topic: str
    topic_id: str
    positions: dict[str, int]


read_watermark = msgspec.json.Decoder(Watermark).decode


@dataclass(frozen=True, slots=True)
class Used:
    """What one decision has seen: a `Watermark` as JSON; `events` renders those of its message, a JSON list."""

    watermark: bytes
    events: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """What a store holds of applications that carry no events, by their row.

    `refusals`: of those that cannot be decided now, or never. All others have their events in `stored`.
    """

    stored: Stored
    used: Mapping[int, Used] = field(default_factory=dict)
    refusals: Mapping[int, Refusal] = field(default_factory=dict)


LookUp = Callable[[Sequence[Lacking]], Found]


def completed(message: bytes, events: bytes) -> bytes:
    """Return a message with these events in the place of what it said of its history; all else byte for byte."""
    body = message.rstrip()
    if b'"history"' not in body:
        return body[:-1] + b',"events":' + events + b"}"
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields = {name: value for name, value in fields.items() if name != "history"}
    return msgspec.json.encode(fields | {"events": msgspec.Raw(events)})

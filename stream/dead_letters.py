"""The dead letter: the message as it came, byte for byte, and behind its headers why and where it was refused."""

from dataclasses import dataclass

from scoring.messages import Refusal
from stream.records import Headers, Message, Record

HEADROOM_BYTES = 64 * 1024  # what the headers may add to a message of the largest size
_PREFIX = "__connect.errors."
_STAGE, _CLASS = b"VALUE_CONVERTER", b"InputError"
_NAMES = ("topic", "partition", "offset", "stage", "exception.class.name", "exception.message", "code", "pointer")
_LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter taken apart: where the message came from, why it was refused, and the message's own headers."""

    topic: str
    partition: int
    offset: int
    code: str
    pointer: str
    expected: str
    headers: Headers


def dead_letter(message: Message, refusal: Refusal, topic: str) -> Record:
    """Make the record for a refused message; the same partition number as its application."""
    values = (message.topic, str(message.partition), str(message.offset), "", "", refusal.expected)
    texts = (
        *(v[:_LONGEST_TEXT].encode() for v in values),
        refusal.code.encode(),
        refusal.pointer[:_LONGEST_TEXT].encode(),
    )
    added = [(_PREFIX + name, text) for name, text in zip(_NAMES, texts, strict=True)]
    added[3], added[4] = (added[3][0], _STAGE), (added[4][0], _CLASS)
    return Record(topic, message.partition, message.key, message.value, (*message.headers, *added))

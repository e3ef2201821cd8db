"""The dead letter: the message as it came, byte for byte, and behind its headers why and where it was refused."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from scoring.message_decoder import Refusal
from stream.records import Headers, Message, Record

HEADROOM_BYTES = 64 * 1024  # what the headers may add to a message of the largest size
_PREFIX = "__connect.errors."
_NAMES = (
    "topic",
    "partition",
    "offset",
    "stage",
    "exception.class.name",
    "exception.message",
    "code",
    "pointer",
    "group",
)
_LONGEST_BYTES = 2_000
_REDRIVEN = "redriven_from"  # the first header: topic, partition and offset of the dead letter, and the group
_FRAME_BYTES = 500  # at most what a record needs beside its key, value and headers


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter taken apart: where the message came from, why it was refused, and the message's own headers."""

    topic: str
    partition: int
    offset: int
    code: str
    pointer: str
    expected: str
    group: str
    headers: Headers


def dead_letter(message: Message, refusal: Refusal, topic: str, group: str) -> Record:
    """Return the record for a message that `group` refused; it has the partition number of its application."""
    where = (message.topic, str(message.partition), str(message.offset), "VALUE_CONVERTER", "InputError")
    values = (*where, refusal.expected, refusal.code, refusal.pointer, group)
    added = [(_PREFIX + name, value.encode()[:_LONGEST_BYTES]) for name, value in zip(_NAMES, values, strict=True)]
    return Record(topic, message.partition, message.key, message.value, (*message.headers, *added))


def take_apart(message: Message) -> DeadLetter | None:
    """Read a dead letter of ours; None if the last headers are not those that `dead_letter` adds."""
    own, added = message.headers[: -len(_NAMES)], message.headers[-len(_NAMES) :]
    if [name for name, _ in added] != [_PREFIX + name for name in _NAMES]:
        return None
    texts = [(value or b"").decode(errors="replace") for _, value in added]
    if not (texts[1].isascii() and texts[1].isdigit() and texts[2].isascii() and texts[2].isdigit()):
        return None
    return DeadLetter(
        topic=texts[0],
        partition=int(texts[1]),
        offset=int(texts[2]),
        expected=texts[5],
        code=texts[6],
        pointer=texts[7],
        group=texts[8],
        headers=own,
    )


def redriven(record: Record, letter: Message, group: str, largest_bytes: int) -> Record:
    """Return the record by which `group` settles a dead letter, with a header that says so.

    Without it where it would not fit into `largest_bytes`: the largest message must be able to go back.
    """
    headers = record.headers[1:] if record.headers and record.headers[0][0] == _REDRIVEN else record.headers
    header = (_REDRIVEN, f"{letter.topic} {letter.partition} {letter.offset} {group}".encode())
    texts = (record.key, record.value, *itertools.chain(header, *headers))
    fits = sum(len(text or b"") for text in texts) + _FRAME_BYTES <= largest_bytes
    return record._replace(headers=(header, *headers) if fits else headers)


def settled_by_redrive(topic: str, group: str) -> Callable[[Message], int | None]:
    """Return what tells from a record which dead letter of its partition in `topic` it settles, if `group` wrote it."""

    def settles(record: Message) -> int | None:
        name, value = record.headers[0] if record.headers else ("", b"")
        words = (value or b"").decode(errors="replace").split(" ", 3)
        if name != _REDRIVEN or [*words[:2], *words[3:]] != [topic, str(record.partition), group]:
            return None
        return int(words[2]) if words[2].isascii() and words[2].isdecimal() else None

    return settles

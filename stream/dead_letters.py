"""The dead letter: the message as it came, byte for byte, and behind its headers why and where it was refused."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from scoring.message import Refusal
from stream.client.records import Headers, Message, Record, number
from stream.position.proofs import Claim, prove, read_proof

__all__ = ["take_apart"]

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
    "proof",
)
_OLD_NAMES = _NAMES[:-1]  # as earlier versions wrote them, and who has no transactions does
_GROUP = _NAMES.index("group")
_LONGEST_BYTES = 2_000
_PROOF = "redriven_proof"  # the second header
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
    proof: bytes = b""


def dead_letter(message: Message, refusal: Refusal, topic: str, group: str, key: bytes = b"") -> Record:
    """Return the record for a message that `group` refused; it has the partition number of its application.

    Its own headers are all that were kept of the message's; how many were not is said with what was expected.
    `key`: the partition's secret, by which the record proves what it settles; without one it proves nothing.
    """
    where = (message.topic, str(message.partition), str(message.offset), "VALUE_CONVERTER", "InputError")
    more = f" ({message.left_out} more of its headers were left out)" if message.left_out else ""
    values = (*where, refusal.expected + more, refusal.code, refusal.pointer, group)
    added = [(_PREFIX + name, value.encode()[:_LONGEST_BYTES]) for name, value in zip(_OLD_NAMES, values, strict=True)]
    record = Record(topic, message.partition, message.key, message.value, (*message.headers, *added))
    if not key:
        return record
    proof = (_PREFIX + _NAMES[-1], prove(key, group, message, record))
    return record._replace(headers=(*record.headers, proof))


def take_apart(message: Message) -> DeadLetter | None:
    """Read a dead letter of ours; None if the last headers are not those that `dead_letter` adds.

    Or if it lies in another partition than its application did, which none of ours does.
    """
    last = message.headers[-1][0] if message.headers else ""
    names = _NAMES if last == _PREFIX + _NAMES[-1] else _OLD_NAMES
    own, added = message.headers[: -len(names)], message.headers[-len(names) :]
    if [name for name, _ in added] != [_PREFIX + name for name in names]:
        return None
    texts = [(value or b"").decode(errors="replace") for _, value in added]
    partition, offset = number(texts[1]), number(texts[2])
    if partition != message.partition or offset is None:
        return None
    return DeadLetter(
        topic=texts[0],
        partition=partition,
        offset=offset,
        expected=texts[5],
        code=texts[6],
        pointer=texts[7],
        group=texts[_GROUP],
        headers=own,
        proof=read_proof(added[-1][1]) if names is _NAMES else b"",
    )


def redriven(record: Record, letter: Message, group: str, largest_bytes: int, key: bytes = b"") -> Record:
    """Return the record by which `group` settles a dead letter, with headers that say so and, with a key, prove it.

    Without them where they would not fit into `largest_bytes`: the largest message must be able to go back.
    """
    headers = list(record.headers)
    for name in (_REDRIVEN, _PROOF):  # of an earlier redrive
        if headers and headers[0][0] == name:
            del headers[0]
    own = [(_REDRIVEN, f"{letter.topic} {letter.partition} {letter.offset} {group}".encode())]
    if key:
        own.append((_PROOF, f"{record.topic} ".encode() + prove(key, group, letter, record)))
    texts = (record.key, record.value, *itertools.chain(*own, *headers))
    fits = sum(len(text or b"") for text in texts) + _FRAME_BYTES <= largest_bytes
    return record._replace(headers=(*own, *headers) if fits else tuple(headers))


def claims_of_redrive(topic: str, group: str) -> Callable[[Message], Claim | None]:
    """Return what tells which dead letter of its partition in `topic` a record of `group` claims to settle.

    A proof names the topic of its record: a message that was sent back and refused once more bears it still, and claims
    nothing where it lies now.
    """

    def claim(record: Message) -> Claim | None:
        (name, value), (proves, proof) = (*record.headers[:2], ("", b""), ("", b""))[:2]
        words = (value or b"").decode(errors="replace").split(" ", 3)
        place = list(map(number, words[1:3]))
        if name != _REDRIVEN or [*words[:1], *place[:1], *words[3:]] != [topic, record.partition, group]:
            return None
        of, _, text = (proof or b"").partition(b" ")
        if place[1] is None or (proves == _PROOF and of != record.topic.encode()):
            return None
        return Claim(group, topic, record.partition, place[1], read_proof(text) if proves == _PROOF else b"")

    return claim

"""What proves that a record settles a message: that a worker of the group wrote it, with that message in hand.

Who may write to a topic can give a record any headers. So a record settles something only with a proof in its headers:

1. The group has a secret for each partition. It is kept in the mark of the committed offset (see `marks`), so
   that only those who may describe the group can read it, and it is new wherever an operator has set the offset.
2. The proof is a digest of the message (its key, value and time), and a keyed hash over that digest, the place of the
   message, the group, and the record's own topic, partition, key and value. So it cannot be made without the secret,
   and it fails on another record, for another message, or in another topic.
3. A message whose record has a good proof is compared with the digest when it is read: if the topic holds another
   message at that offset by now, that one is decided.

A claim that fails is counted and logged with its place, and nothing else is made of it.
"""

import hmac
import logging
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from stream.client.records import Message, Record, Target

log = logging.getLogger(__name__)

KEY_BYTES = 16
_HALF_BYTES = 16
_MOST_LINES = 10


class Claim(NamedTuple):
    """What a record says: that `group` settled the message at this place with it. `proof` empty: it brings none."""

    group: str
    topic: str
    partition: int
    offset: int
    proof: bytes

    def proven(self, key: bytes, record: Message) -> bool:
        """Return whether the holder of `key` wrote this record for that message."""
        hashed = self.proof[:_HALF_BYTES]
        place = Message(self.topic, self.partition, self.offset, None, None, (), 0)
        tag = _tag(key, self.group, place, hashed, record)
        return bool(key) and hmac.compare_digest(self.proof, hashed + tag)

    def about(self, message: Message) -> bool:
        """Return whether this message, read at the place of the claim, is the one that was settled."""
        return hmac.compare_digest(self.proof[:_HALF_BYTES], _digest(message))


def new_key() -> bytes:
    """Return a secret for a partition that begins anew."""
    return secrets.token_bytes(KEY_BYTES)


def prove(key: bytes, group: str, message: Message, record: Record) -> bytes:
    """Return what `record` must bear to prove that it settles `message`, as the text of a header."""
    hashed = _digest(message)
    return (hashed + _tag(key, group, message, hashed, record)).hex().encode()


def read_proof(text: bytes | None) -> bytes:
    """Return the proof in the text of a header, empty if it is none."""
    try:
        return bytes.fromhex((text or b"").decode("ascii"))
    except ValueError:
        return b""


def _digest(message: Message) -> bytes:
    of = f"{message.timestamp_ms} {_length(message.key)} {_length(message.value)} ".encode()
    return sha256(of + (message.key or b"") + (message.value or b"")).digest()[:_HALF_BYTES]


def _tag(key: bytes, group: str, place: Message, hashed: bytes, record: Message | Record) -> bytes:
    value = sha256(record.value or b"")
    for part in record.parts if isinstance(record, Record) else ():
        value.update(part)
    empty = "-" if record.value is None and not (isinstance(record, Record) and record.parts) else "+"
    where = f"{record.topic} {record.partition} {place.topic} {place.partition} {place.offset} {_length(record.key)}"
    text = f"{where} {empty} {len(group)} {group}".encode() + hashed + value.digest() + (record.key or b"")
    return hmac.digest(key, text, "sha256")[:_HALF_BYTES]


def _length(text: bytes | None) -> int:
    return -1 if text is None else len(text)


class FalseClaims:
    """Counts records that claim to settle a message and do not prove it, and logs where they are."""

    def __init__(self, count: Callable[[], None] = lambda: None) -> None:
        """`count` is called once for each."""
        self.count = count
        self._seen: dict[Target, int] = {}  # by partition: the last one
        self._said = 0

    def __call__(self, record: Message) -> None:
        """Take note of one; what was seen before is not counted again when its topic is read again."""
        target = record.topic, record.partition
        if record.offset <= self._seen.get(target, -1):
            return
        self._seen[target] = record.offset
        self.count()
        self._said += 1
        if self._said <= _MOST_LINES:
            log.warning(
                "%s partition %s offset %s claims to settle a message, without a proof: ignored. Somebody else writes "
                "to this topic; see docs/who-may-write.md%s",
                *(*target, record.offset, " (further ones are only counted)" if self._said == _MOST_LINES else ""),
            )

"""What tells which messages are settled: the mark that is kept with an offset, and the claims of records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from stream.client.records import Committed, Message, number
from stream.dead_letters import take_apart
from stream.position.proofs import KEY_BYTES, Claim, new_key, read_proof

_PLACE = ("topic", "group", "partition", "offset")
_MARK, _OLD = "credit-2", "credit-1"  # an old one has no key


class Span(NamedTuple):
    """A transaction decided from the offset `first` on, and wrote behind `ends`, one for each target.

    `key` is the secret of the partition, by which records prove what they settle. Where it is empty an earlier version
    wrote the mark, whose records prove nothing: they are believed only for messages before `until`, the committed
    offset, so that none of them makes a message be left out.
    """

    first: int
    ends: tuple[int, ...]
    key: bytes
    until: int = 0

    @classmethod
    def new(cls, first: int, ends: tuple[int, ...]) -> "Span":
        """Begin with a key of its own, so that no record from before proves anything."""
        return cls(first, ends, new_key())

    def mark(self) -> str:
        """Return the text that is kept with a committed offset."""
        return " ".join([_MARK, self.key.hex(), str(self.first), *map(str, self.ends)])

    @classmethod
    def read(cls, committed: Committed, now: tuple[int, ...]) -> "Span | None":
        """Read a mark; None if it is none. `now`: ends of the targets, for those that it does not know."""
        version, *words = committed.mark.split(" ")
        key = read_proof(words.pop(0).encode()) if version == _MARK and words else b""
        if version not in (_MARK, _OLD) or len(key) != (KEY_BYTES if version == _MARK else 0):
            return None
        numbers = [n for n in map(number, words) if n is not None]
        if len(numbers) < max(2, len(words)):
            return None
        first, *ends = numbers
        return cls(first, (*ends, *now[len(ends) :])[: len(now)], key, committed.offset or 0)

    def believes(self, claim: Claim, record: Message) -> bool:
        """Return whether a record settles what it claims to."""
        return claim.proven(self.key, record) if self.key else claim.offset < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a group writes. `topics`: those that get one record for each message, the first one its answers.

    `claim`: which message of the record's partition a record says that it settles, None for any other record.
    `receipts`: the topic that gets one more for each answer; empty: none. `lasting`: no topic is compacted, so that a
    record that was written is there until retention removes it with all before it.
    """

    topics: tuple[str, ...]
    claim: Callable[[Message], Claim | None]
    receipts: str = ""
    lasting: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """All topics that are written to, in the order of a mark."""
        return (*self.topics, self.receipts) if self.receipts else self.topics


def claims_of_worker(topic: str, group: str) -> Callable[[Message], Claim | None]:
    """Return what tells which message of `topic` a decision, receipt or dead letter of `group` claims to settle."""

    def claim(record: Message) -> Claim | None:
        letter = take_apart(record)
        if letter is not None:
            found = Claim(letter.group, letter.topic, letter.partition, letter.offset, letter.proof)
        else:
            headers = dict(record.headers)
            source, by, *place = ((headers.get(f"source_{name}") or b"").decode(errors="replace") for name in _PLACE)
            partition, offset = map(number, place)
            if partition is None or offset is None:
                return None
            found = Claim(by, source, partition, offset, read_proof(headers.get("source_proof")))
        return found if found[:3] == (group, topic, record.partition) else None

    return claim

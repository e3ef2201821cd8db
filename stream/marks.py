"""What tells which messages are settled: the mark that is kept with an offset, and the headers of records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from stream.dead_letters import take_apart
from stream.records import Message

_MARK = "credit-1"


class Span(NamedTuple):
    """A transaction decided from the offset `first` on, and wrote behind `ends`, one for each target."""

    first: int
    ends: tuple[int, ...]

    def mark(self) -> str:
        """Return the text that is kept with a committed offset."""
        return " ".join([_MARK, str(self.first), *map(str, self.ends)])

    @classmethod
    def read(cls, mark: str, now: tuple[int, ...]) -> "Span | None":
        """Read a mark; None if it is none. `now`: ends of the targets, for those that it does not know."""
        version, *numbers = mark.split(" ")
        if version != _MARK or len(numbers) < 2 or not all(n.isascii() and n.isdigit() for n in numbers):
            return None
        first, *ends = map(int, numbers)
        return cls(first, (*ends, *now[len(ends) :])[: len(now)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a group writes. `topics`: those that get one record for each message, the first one its answers.

    `settles`: the offset of the message that a record of this group settles, None for any other record. `receipts`: the
    topic that gets one more for each answer; empty: none. `lasting`: no topic is compacted, so that a record that was
    written is there until retention removes it with all before it.
    """

    topics: tuple[str, ...]
    settles: Callable[[Message], int | None]
    receipts: str = ""
    lasting: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """All topics that are written to, in the order of a mark."""
        return (*self.topics, self.receipts) if self.receipts else self.topics


def settled_by_worker(topic: str, group: str) -> Callable[[Message], int | None]:
    """Return what tells from a decision or dead letter which message of `topic` it settles, if `group` wrote it."""

    def settles(record: Message) -> int | None:
        letter = take_apart(record)
        if letter is not None:
            return letter.offset if (letter.topic, letter.group) == (topic, group) else None
        headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        offset = headers.get("source_offset", "")
        if (headers.get("source_topic"), headers.get("source_group")) != (topic, group) or not offset.isascii():
            return None
        return int(offset) if offset.isdecimal() else None

    return settles

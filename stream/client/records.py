"""What passes between the loop and the broker: messages in, records out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["Headers", "Message", "Record"]

Headers = Sequence[tuple[str, bytes | None]]
Target = tuple[str, int]  # topic and partition
MOST_HEADERS = 1_000  # of a message in hand; a header of a few bytes takes some two hundred in memory
_HEADER_BYTES = 200
_DIGITS = 19
_NONE: Mapping[Any, Any] = MappingProxyType({})


class Message(NamedTuple):
    """A message as it was read. `timestamp_ms` is UTC, 0 where the broker knows none.

    `left_out`: how many more headers it has, which were not kept since they are more than `MOST_HEADERS`.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    left_out: int = 0

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        headers = sum(len(name) + len(value or b"") + _HEADER_BYTES for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset."""
        return self.partition, self.offset


About = Callable[[Message], bool]


def number(text: str) -> int | None:
    """Read a number from a header or a mark: ASCII digits, at most as many as an offset has; None if it is none."""
    return int(text) if len(text) <= _DIGITS and text.isascii() and text.isdecimal() else None


class Record(NamedTuple):
    """A record to write. `partition` None: chosen by the key as Java clients do.

    `parts`, where there are any, are the value: joined when the record is written, so that a batch of large ones never
    lies in memory a second time.
    """

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    parts: Sequence[bytes] = ()


class Batch(NamedTuple):
    """Messages in hand, and the proof of having been a member of the group when they were taken.

    The broker refuses a transaction that shows the proof of a member that has been replaced since. `offsets`: by
    partition, where to read on when these are settled. `halves`: by partition and offset of a message, the decision
    or the receipt that was committed without the other. `before`: in the same way an earlier decision of it.
    """

    messages: list[Message]
    membership: Any
    offsets: dict[int, int]
    halves: Mapping[tuple[int, int], Message] = _NONE
    before: Mapping[tuple[int, int], Message] = _NONE


class Committed(NamedTuple):
    """The group's offset in a partition, None where there is none, and the mark that was kept with it."""

    offset: int | None
    mark: str


class Trace(NamedTuple):
    """A record that tells what became of a message. `about`: whether it was this one."""

    record: Message
    about: About


class Beginning(NamedTuple):
    """Where to begin in a partition, and offsets from there on that are not to be decided again.

    `decided`: by offset, whether a message that is read there is the one that was decided. `halves`: by offset.
    `before`: by offset, an earlier decision of a message that is decided again.
    """

    offset: int
    decided: Mapping[int, About] = _NONE
    halves: Mapping[int, Trace] = _NONE
    before: Mapping[int, Trace] = _NONE


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster says of itself: `partitions` by topic."""

    cluster_id: str
    partitions: dict[str, int]

    @property
    def embedded(self) -> bool:
        """Whether this is librdkafka's mock cluster, which has no transactions."""
        return self.cluster_id.startswith("mockCluster")

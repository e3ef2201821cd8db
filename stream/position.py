"""Where a partition begins, so that nothing is decided twice and nothing is left out, whatever the brokers still know.

The committed offset alone does not tell. Apache Kafka (seen with 4.3.0) can count a transaction as committed that it
never ended in some of its partitions: those that have no leader when the transaction's coordinator comes up, as after
`kill -9` of a single node. What the transaction wrote there, a record or the group's offset, is lost with the next
transaction that its producer aborts. So the records themselves are asked:

1. With each offset the worker commits a mark: from which offset on the transaction decided, and where the targets
   ended before it.
2. A partition begins only when no open transaction holds back the ends of its targets or its offset.
3. What the targets hold of this group behind the mark is decided already, and is left out when it is read again: the
   offset may have been lost.
4. What was written behind the mark and is not committed was aborted: reading begins there, not behind it.
5. An offset without a mark was set by an operator (or by a worker that is no transactional one), and holds.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from features.errors import DeliveryError
from stream.broker import GroupConsumer
from stream.client import Config
from stream.cluster import read_records
from stream.dead_letters import take_apart
from stream.errors import RESET_OFFSETS, OffsetGoneError, RetriableError
from stream.records import Beginning, Committed, Message, Target

log = logging.getLogger(__name__)

Ends = Callable[..., dict[Target, int]]  # see `stream.cluster.Admin.ends`
_MARK = "credit-1"


class Span(NamedTuple):
    """A transaction decided from the offset `first` on, and wrote behind `ends`, one for each target."""

    first: int
    ends: tuple[int, ...]

    def mark(self) -> str:
        """Return the text that is kept with a committed offset."""
        return " ".join([_MARK, str(self.first), *map(str, self.ends)])

    @classmethod
    def read(cls, mark: str, targets: int) -> "Span | None":
        """Read a mark; None if it is none, or one of a worker with other targets."""
        version, *numbers = mark.split(" ")
        if version != _MARK or len(numbers) != targets + 1 or not all(n.isascii() and n.isdigit() for n in numbers):
            return None
        first, *ends = map(int, numbers)
        return cls(first, tuple(ends))


class Source(NamedTuple):
    """Which message a decision or dead letter is about, and which group decided it."""

    topic: str
    offset: int
    group: str


def source_of(record: Message) -> Source | None:
    """Read the headers of a decision or dead letter; None if they are not a worker's."""
    letter = take_apart(record)
    if letter is not None:
        return Source(letter.topic, letter.offset, letter.group)
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    topic, offset, group = (headers.get(f"source_{name}", "") for name in ("topic", "offset", "group"))
    return Source(topic, int(offset), group) if offset.isascii() and offset.isdecimal() else None


class Positions:
    """Where partitions begin, and the marks of what is committed. `targets`: output and dead letters."""

    def __init__(
        self, config: Config, group: str, targets: tuple[str, ...], ends: Ends | None, *, earliest: bool
    ) -> None:
        """`ends`: None where there are no transactions. `earliest`: the operator accepts to begin at the earliest."""
        self._config, self._group, self._targets = config, group, targets
        self._ends, self._earliest = ends, earliest
        self._begun: dict[int, Span] = {}  # where this process began
        self._spans: dict[int, Span] = {}  # of the next transaction
        self._asked: object = None  # for which rebalance and targets
        self._before: dict[Target, int] = {}  # ends when they were first asked for

    def __call__(self, consumer: GroupConsumer, committed: Mapping[int, Committed]) -> dict[int, Beginning]:
        """Return where each partition begins.

        Raises:
            RetriableError: an open transaction must end before that is known.
            DeliveryError: going on would jump over messages or decide them again.

        """
        ends = self._settled_ends(committed, consumer.rebalances)
        spans = {p: self._known(p, c) for p, c in committed.items()}
        known = {p: span for p, span in spans.items() if span is not None and ends}
        decided = self._sources(consumer.topic, known, ends, "read_committed")
        places = {p: self._first(consumer, p, c.offset, spans[p]) for p, c in committed.items()}
        doubtful = {p: s for p, s in known.items() if not decided[p].issuperset(range(s.first, places[p]))}
        written = self._sources(consumer.topic, doubtful, ends, "read_uncommitted")
        for p, place in places.items():
            gone = [s for s in written.get(p, ()) if s < place and s not in decided[p]]
            places[p] = min(gone, default=place)
        found = {p: Beginning(o, frozenset(s for s in decided.get(p, ()) if s >= o)) for p, o in places.items()}
        for p, beginning in found.items():
            self._note(p, beginning, committed[p].offset, known.get(p), ends)
        return found

    def mark(self, partition: int) -> str:
        """Return the mark of the next transaction."""
        return self._spans[partition].mark()

    def settled(self, offsets: Mapping[int, int], ends: Mapping[Target, int], ahead: Callable[[int], bool]) -> None:
        """Note that a transaction was committed, and where its records ended. `ahead`: see `GroupConsumer`."""
        for p, offset in offsets.items():
            if not ahead(p):  # else what was decided before this process began would be out of the next mark's sight
                before = self._spans[p].ends
                now = tuple(ends.get((t, p), b) for t, b in zip(self._targets, before, strict=True))
                self._spans[p] = Span(offset, now)

    def _settled_ends(self, partitions: Collection[int], rebalance: int) -> dict[Target, int]:
        if self._ends is None:
            return {}
        targets = [(t, p) for t in self._targets for p in sorted(partitions)]
        if self._asked != (rebalance, targets):
            self._before = self._ends(targets, committed=False)
            self._asked = (rebalance, targets)
        ends = self._ends(targets, committed=True)
        held = [f"{t} partition {p}" for t, p in targets if ends[t, p] < self._before[t, p]]
        if held:
            raise RetriableError(f"{', '.join(held)}: an open transaction holds back what was decided")
        self._asked = None
        return ends

    def _known(self, partition: int, committed: Committed) -> Span | None:
        """Return the last transaction that is known of; where none was committed, what this process began with."""
        begun = self._begun.get(partition)
        if committed.offset is None or (begun is not None and not committed.mark and begun.first == committed.offset):
            return begun
        return Span.read(committed.mark, len(self._targets))

    def _sources(
        self, topic: str, spans: Mapping[int, Span], ends: Mapping[Target, int], isolation: str
    ) -> dict[int, set[int]]:
        """Return by partition which offsets of the input records of this group in the targets are about."""
        found: dict[int, set[int]] = {p: set() for p in spans}
        for i, target in enumerate(self._targets):
            starts = {p: s.ends[i] for p, s in spans.items() if s.ends[i] < ends[target, p]}
            until = {p: ends[target, p] for p in starts}
            for record in self._read(target, starts, until, isolation):
                source = source_of(record)
                if source is not None and (source.topic, source.group) == (topic, self._group):
                    found[record.partition].add(source.offset)
        return {p: {s for s in offsets if s >= spans[p].first} for p, offsets in found.items()}

    def _read(self, topic: str, starts: dict[int, int], ends: dict[int, int], isolation: str) -> Iterator[Message]:
        return read_records(self._config, topic, starts, ends, isolation) if starts else iter(())

    def _note(
        self, partition: int, begin: Beginning, committed: int | None, known: Span | None, ends: Mapping[Target, int]
    ) -> None:
        changed = begin.decided or begin.offset < (committed or 0)
        if known is not None and changed:
            log.warning(
                "partition %s: the brokers know the offset %s, but records tell otherwise: begins at %s, %s decided",
                *(partition, committed, begin.offset, len(begin.decided)),
            )
        now = tuple(ends.get((t, partition), 0) for t in self._targets)
        span = Span(begin.offset, known.ends if known is not None and changed else now)
        self._spans[partition] = span
        if known is None:
            self._begun[partition] = span

    def _first(self, consumer: GroupConsumer, partition: int, offset: int | None, known: Span | None) -> int:
        if offset is None and known is not None:
            return known.first
        low, high = consumer.watermarks(consumer.topic, partition)
        if offset is not None and low <= offset <= high:
            return offset
        if self._earliest:
            log.warning("partition %s of %s begins at its earliest offset %s", partition, consumer.topic, low)
            return low
        if offset is not None:
            raise OffsetGoneError(
                f"{consumer.topic} partition {partition}: the group's next offset is {offset}, but the topic holds "
                f"{low} to {high}. Messages may be lost (retention, or a topic made anew). {RESET_OFFSETS}"
            )
        for target in self._targets:
            self._refuse_second_start(consumer, target, partition)
        return low

    def _refuse_second_start(self, consumer: GroupConsumer, target: str, partition: int) -> None:
        low, high = consumer.watermarks(target, partition)
        until = {partition: high}
        written = low < high and any(self._read(target, {partition: low}, until, "read_committed"))
        if low == high > 0 or written:
            raise DeliveryError(
                f"{consumer.topic} partition {partition}: this group has no offset, but {target} holds or held records "
                f"there. Its offsets may have expired, or the group's name is new. {RESET_OFFSETS}"
            )

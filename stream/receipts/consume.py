"""The topic of receipts to the decision log: each receipt into one segment, exactly once.

1. resume   from the last segment of the log's writer for this topic: its manifest says up to where it is. The group's
            offsets are only shown, for tools that watch how far behind it is
2. read     committed records of all partitions, until they are many or old enough: one range of offsets
3. seal     one segment for each bundle of the range. Each manifest says which range, and which part of how many it is
4. show     the group's offsets

A kill anywhere leaves either no part of a range, and it is read again; or some of its parts, and exactly that range is
read again and only the missing parts are sealed; or all. One process writes at a time: the chain's lock sees to that.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from features.errors import SettingsError
from receipts.log import Chain, Head
from stream.client.errors import OffsetGoneError, PersonNeededError
from stream.client.records import Message
from stream.client.topic_reader import TopicReader
from stream.receipts.receipt_reading import ReceiptReading

log = logging.getLogger(__name__)

MOST_ROWS = 20_000
MOST_BYTES = 32 << 20
WAIT_S = 0.2

Offsets = dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """How receipts become segments: after so many seconds."""

    reading: ReceiptReading
    seconds: float
    from_earliest: bool = False


@dataclass(slots=True)
class _Range:
    """Records in hand: where each of their partitions begins, and `next`, where every one of the topic goes on."""

    next: Offsets
    begin: Offsets = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    size: int = 0
    began: float = 0.0

    def add(self, message: Message, now: float = 0.0) -> None:
        self.began = self.began if self.messages else now
        self.begin.setdefault(message.partition, self.next.get(message.partition, message.offset))
        self.next[message.partition] = message.offset + 1
        self.messages.append(message)
        self.size += len(message.value or b"")

    def age(self, now: float) -> float:
        """Return for how many seconds the first record has been in hand."""
        return now - self.began if self.messages else 0.0

    @property
    def full(self) -> bool:
        return len(self.messages) >= MOST_ROWS or self.size >= MOST_BYTES


class Consume:
    """Moves receipts from one topic into one chain."""

    def __init__(self, reader: TopicReader, chain: Chain, sealing: Sealing, said: Callable[[Head], None]) -> None:
        """Find where the log is.

        Raises:
            SettingsError: the writer's segments come from another topic or cluster.
            OffsetGoneError: receipts that are not in the log are gone from the topic.
            DeliveryError: the brokers do not answer.

        """
        self._reader, self._chain, self._sealing, self._said = reader, chain, sealing, said
        self._at = self._resume(chain.last_source)

    def run(self, asked_to_stop: Callable[[], bool], stop_when_idle_s: float | None = None) -> None:
        """Complete the last range, then work until asked to stop, or until all is read and none came for so long.

        What is in hand at the end is sealed.

        Raises:
            InputError: records are no receipts; names their places.
            PersonNeededError: the topic was made anew.
            BundleError: a bundle that decided is not there; names the place of its first receipt.
            DeliveryError: the brokers or the disk fail.

        """
        self._complete(self._chain.last_source or {}, asked_to_stop)
        self._reader.read_from(self._at)
        range_, busy, idle = _Range(dict(self._at)), time.monotonic(), False
        while not (idle or asked_to_stop()):
            messages, now = self._reader.take(WAIT_S), time.monotonic()
            for message in messages:
                range_.add(message, now)
            busy = now if messages or not self._reader.at_end(self._at) else busy
            idle = stop_when_idle_s is not None and now - busy > stop_when_idle_s
            if range_.full or range_.age(now) > self._sealing.seconds:
                self._seal(range_)
                range_ = _Range(dict(self._at))
        self._seal(range_)

    def _seal(self, range_: _Range, sealed_parts: int = 0, parts: int | None = None) -> None:
        if not range_.messages:
            return
        frames = [frame for _, frame in self._sealing.reading.frames(range_.messages)]
        if parts is not None and len(frames) != parts:
            raise PersonNeededError(
                f"{self._reader.topic}: the records of the last range are not those that were sealed in part. Was the "
                "topic made anew? Go on with another log."
            )
        for part, frame in enumerate(frames[sealed_parts:], start=sealed_parts + 1):
            self._said(self._chain.seal(frame, source=self._source(range_, part, len(frames))))
        self._at = dict(range_.next)
        self._reader.show_progress(self._at)

    def _source(self, range_: _Range, part: int, parts: int) -> dict[str, Any]:
        return {
            "topic": self._reader.topic,
            "cluster": self._reader.cluster_id,
            "from": _texts(range_.begin),
            "next": _texts(range_.next),
            "part": part,
            "parts": parts,
        }

    def _resume(self, source: dict[str, Any] | None) -> Offsets:
        marks = self._reader.extents()
        if source is None:
            return {p: low for p, (low, _) in marks.items()}
        if (source["topic"], source["cluster"]) != (self._reader.topic, self._reader.cluster_id):
            raise SettingsError(
                f"{self._chain.log}: its writer {self._chain.writer} holds receipts of topic {source['topic']} of "
                "another cluster. Use a log of its own for each cluster."
            )
        at = {p: low for p, (low, _) in marks.items()} | _numbers(source["next"])
        return {p: self._checked(p, at[p], *mark) for p, mark in marks.items()}

    def _checked(self, partition: int, offset: int, low: int, high: int) -> int:
        if low <= offset <= high:
            return offset
        if self._sealing.from_earliest:
            log.warning("partition %s: goes on at %s, the earliest; the log is at %s", partition, low, offset)
            return low
        raise OffsetGoneError(
            f"{self._reader.topic} partition {partition}: the log goes on at offset {offset}, but the topic holds "
            f"{low} to {high}. Receipts may be lost (retention, or a topic made anew). To go on with what is there: "
            "--from-earliest."
        )

    def _complete(self, source: Mapping[str, Any], asked_to_stop: Callable[[], bool]) -> None:
        """Seal the missing parts of the last range."""
        if source.get("part") == source.get("parts"):
            return
        begin, end = _numbers(source["from"]), _numbers(source["next"])
        self._reader.read_from(begin)
        range_ = _Range(dict(end) | begin)
        while any(range_.next[p] < end[p] for p in begin):
            if asked_to_stop():
                return
            for message in self._reader.take(WAIT_S):
                if message.offset < end[message.partition]:
                    range_.add(message)
        range_.next = end
        self._seal(range_, source["part"], source["parts"])


def _texts(offsets: Offsets) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}


def _numbers(offsets: Mapping[str, int]) -> Offsets:
    return {int(partition): offset for partition, offset in offsets.items()}

"""What the targets of a group tell of its last transactions: which records were committed, and which were aborted."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from stream.client.client import Config
from stream.client.cluster import read_records
from stream.client.records import Message, Target
from stream.position.group import Group
from stream.position.marks import Span, Written

Records = defaultdict[int, dict[int, Message]]  # by partition and offset of a message: the record about it
Offsets = defaultdict[int, set[int]]  # by partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The records of a group behind its marks. `spans`: the marks; `ends`: where the targets end now.

    `refused` is told of each record that claims to settle a message and does not prove it.
    """

    config: Config
    written: Written
    spans: Mapping[int, Span]
    ends: Mapping[Target, int]
    refused: Callable[[Message], None]

    def decided(self) -> Records:
        """Return the records that settle messages."""
        return self._read(self.written.topics, self.spans, "read_committed")

    def gone(self, decided: Records, places: Mapping[int, int]) -> Offsets:
        """Return what was settled before the places where partitions go on, and aborted."""
        doubtful = self._doubtful(decided, places)
        gone: Offsets = defaultdict(set)
        for p, records in self._read(self.written.topics, doubtful, "read_uncommitted").items():
            gone[p] = {o for o in records if o < places[p]} - decided[p].keys()
        return gone

    def lacking(self, group: Group, decided: Records, places: Mapping[int, int]) -> Offsets:
        """Return messages before the places that have no record, where all records behind the marks are still there.

        An offset can be committed without its records: by the late request of an earlier commit, for one.
        """
        lacking: Offsets = defaultdict(set)
        starts = {p: s.first for p, s in self._doubtful(decided, places).items() if self._whole(group, p, s)}
        until = {p: places[p] for p in starts}
        for message in read_records(self.config, group.topic, starts, until) if starts else ():
            if message.offset not in decided[message.partition]:
                lacking[message.partition].add(message.offset)
        return lacking

    def _whole(self, group: Group, partition: int, span: Span) -> bool:
        behind = zip(self.written.topics, span.ends, strict=False)  # a mark ends with the receipts
        return self.written.lasting and all(
            group.watermarks(topic, partition)[0] <= end <= self.ends[topic, partition] for topic, end in behind
        )

    def _doubtful(self, decided: Records, places: Mapping[int, int]) -> dict[int, Span]:
        """Return the marks of partitions where offsets before the place have no record."""
        return {p: s for p, s in self.spans.items() if not decided[p].keys() >= set(range(s.first, places[p]))}

    def halves(self, decided: Records, gone: Offsets, places: Mapping[int, int]) -> Records:
        """Return the decisions without the receipt that was written with them, and receipts without their decision."""
        halves: Records = defaultdict(dict)
        if not self.written.receipts:
            return halves
        receipts, answers = [self.written.receipts], self.written.topics[0]
        there = self._read(receipts, self.spans, "read_committed")
        for p in self.spans:
            ahead = {o for o in there[p] if o >= places[p]} | gone[p]
            halves[p] = {o: there[p][o] for o in (there[p].keys() & ahead) - decided[p].keys()}
        alone = {
            p: {o: r for o, r in decided[p].items() if r.topic == answers and o not in there[p]} for p in self.spans
        }
        doubtful = {p: span for p, span in self.spans.items() if alone[p]}
        for p, written in self._read(receipts, doubtful, "read_uncommitted").items():
            halves[p].update({o: alone[p][o] for o in written.keys() & alone[p].keys()})
        return halves

    def _read(self, topics: Collection[str], spans: Mapping[int, Span], isolation: str) -> Records:
        found: Records = defaultdict(dict)
        for i, target in enumerate(self.written.targets):
            starts = {p: s.ends[i] for p, s in spans.items() if target in topics and s.ends[i] < self.ends[target, p]}
            until = {p: self.ends[target, p] for p in starts}
            for record in read_records(self.config, target, starts, until, isolation) if starts else ():
                claim, span = self.written.claim(record), spans[record.partition]
                if claim is None or claim.offset < span.first:
                    continue
                if span.believes(claim, record):
                    found[record.partition][claim.offset] = record
                else:
                    self.refused(record)
        return found

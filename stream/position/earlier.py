"""What was decided once of messages that are about to be decided again, so that they are decided on what was seen then.

A transaction that was aborted, a batch that was written and not acknowledged, an offset that an operator set back: in
all of these the same message is decided once more. With events from a history store, which goes on meanwhile, the
decision would be another one. So the topic of decisions is asked for those that say up to where the store was seen;
whether they hold is not a matter of trust: they are followed only where the same decision comes out again
(`stream.history.histories`). Where the store no longer holds what was seen, their receipts do.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

from receipts.lines import is_receipt_of
from stream.client.client import Config
from stream.client.cluster import read_records
from stream.client.records import Beginning, Message, Target, Trace
from stream.history.histories import WATERMARK
from stream.position.group import Group
from stream.position.marks import Span, Written
from stream.position.proofs import Claim

log = logging.getLogger(__name__)

MOST = 200_000  # records of a partition that are looked at where no mark says from where on


class Earlier:
    """Finds earlier decisions of a group's messages, also those that were aborted, and their receipts."""

    def __init__(self, config: Config, written: Written) -> None:
        """Take what the group writes."""
        self._config, self._written = config, written
        self._receipts: dict[int, range] = {}  # by partition, where receipts of earlier decisions lie

    def __call__(
        self, group: Group, partition: int, beginning: Beginning, known: Span | None, ends: Mapping[Target, int]
    ) -> dict[int, Trace]:
        """Return by offset the last decision of each message from `beginning` on, but of those that are left out."""
        if beginning.offset >= group.watermarks(group.topic, partition)[1]:
            return {}
        places = self._places(group, partition, known, ends)
        self._receipts[partition] = places.get(self._written.receipts, range(0))
        found: dict[int, Trace] = {}
        topic = self._written.topics[0]
        for claim, record in self._read(topic, partition, places[topic]):
            offset, proven = claim.offset, known is None or not known.key or claim.proven(known.key, record)
            if (
                offset >= beginning.offset
                and offset not in beginning.decided
                and proven
                and WATERMARK in dict(record.headers)
            ):
                found[offset] = Trace(record, claim.about if claim.proof else _any)
        if found:
            log.info(
                "partition %s: %s messages were decided before; again on what was seen then", partition, len(found)
            )
        return found

    def receipts(self, decisions: Sequence[Message]) -> list[Message | None]:
        """Return the receipt of each of these decisions, None where there is none."""
        receipts = self._written.receipts
        wanted = {p: {d.value or b"" for d in decisions if d.partition == p} for p in {d.partition for d in decisions}}
        found: dict[bytes, Message] = {}
        for partition, values in wanted.items() if receipts else ():
            ids = {_id(value): value for value in values}
            for _, record in self._read(receipts, partition, self._receipts.get(partition, range(0))):
                value = ids.get(_id(record.value or b""), b"")
                if value and is_receipt_of(record.value or b"", value):
                    found[value] = record
        return [found.get(decision.value or b"") for decision in decisions]

    def _places(self, group: Group, partition: int, known: Span | None, ends: Mapping[Target, int]) -> dict[str, range]:
        """Return by target where records of what is decided again may lie."""
        found = {}
        for i, topic in enumerate(self._written.targets):
            low, high = group.watermarks(topic, partition)
            end = ends.get((topic, partition), high)
            found[topic] = range(max(low, end - MOST) if known is None else max(low, known.ends[i]), end)
        return found

    def _read(self, topic: str, partition: int, places: range) -> Iterator[tuple[Claim, Message]]:
        """Yield what was written for messages of the partition, with what it says of which."""
        starts, until = {partition: places.start}, {partition: places.stop}
        for record in read_records(self._config, topic, starts, until, "read_uncommitted") if places else ():
            claim = self._written.claim(record)
            if claim is not None:
                yield claim, record


def _any(_message: Message) -> bool:
    """Tell nothing apart: where there are no transactions, records have no proof."""
    return True


def _id(line: bytes) -> bytes:
    """Return the decision_id in a decision or in its receipt, which ends with it."""
    return line.rpartition(b'"decision_id":"')[2][:64]

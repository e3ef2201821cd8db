"""What was decided once of messages that are about to be decided again, so that they are decided on what was seen then.

A transaction that was aborted, a batch that was written and not acknowledged, an offset that an operator set back: in
all of these the same message is decided once more. With events from a history store, which goes on meanwhile, the
decision would be another one. So the topic of decisions is asked for those that say up to where the store was seen;
whether they hold is not a matter of trust: they are followed only where the same decision comes out again
(`stream.history.histories`).
"""

import logging
from collections.abc import Mapping

from stream.client.client import Config
from stream.client.cluster import read_records
from stream.client.records import Beginning, Message, Target
from stream.history.histories import WATERMARK
from stream.position.group import Group
from stream.position.marks import Span, Written

log = logging.getLogger(__name__)

MOST = 200_000  # records of a partition that are looked at where no mark says from where on


class Earlier:
    """Finds earlier decisions of a group's messages, also those that were aborted."""

    def __init__(self, config: Config, written: Written) -> None:
        """Take what the group writes."""
        self._config, self._written = config, written

    def __call__(
        self, group: Group, partition: int, beginning: Beginning, known: Span | None, ends: Mapping[Target, int]
    ) -> dict[int, Message]:
        """Return by offset the last decision of each message from `beginning` on, but of those that are left out."""
        if beginning.offset >= group.watermarks(group.topic, partition)[1]:
            return {}
        topic = self._written.topics[0]
        low, high = group.watermarks(topic, partition)
        end = ends.get((topic, partition), high)
        start = max(low, end - MOST) if known is None else max(low, known.ends[0])
        found: dict[int, Message] = {}
        records = read_records(self._config, topic, {partition: start}, {partition: end}, "read_uncommitted")
        for record in records if start < end else ():
            claim = self._written.claim(record)
            if claim is None or claim.offset < beginning.offset or claim.offset in beginning.decided:
                continue
            if dict(record.headers).get(WATERMARK):
                found[claim.offset] = record
        if found:
            log.info(
                "partition %s: %s messages were decided before; again on what was seen then", partition, len(found)
            )
        return found

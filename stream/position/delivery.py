"""How a batch becomes final, and what is done about each kind of error on the way.

* retriable: the same call again, until patience ends (aborting first would be fatal)
* any other, or a commit whose outcome is unknown: discard the producer; a new one of the same transactional id first
  ends what was left open, then the committed offsets and the records tell what became of it (`stream.position`). An
  abort by the same producer would do where that is possible, but requests of its that come late, as from a connection
  that broke, would count for its next transaction; those of a producer that was replaced are refused.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from features.errors import DeliveryError
from stream.client.patience import Patience
from stream.client.producer import RecordProducer
from stream.client.records import Record, Target
from stream.position.forgotten import Forgotten
from stream.position.group import Group
from stream.position.position import Positions

log = logging.getLogger(__name__)

_FLUSH_S = 5.0


class Delivery(Protocol):
    """Writes the records of a batch and acknowledges its messages."""

    failures: int

    def deliver(self, records: Sequence[Record], offsets: Mapping[int, int], membership: Any) -> bool:
        """Return True when all is final; False when the batch will be read again.

        Raises:
            DeliveryError: nothing could be delivered for longer than patience allows.

        """

    def tend(self) -> None:
        """Do what is due between batches."""


class ExactlyOnce:
    """Records and offsets in one transaction."""

    def __init__(
        self,
        consumer: Group,
        new_producer: Callable[[], RecordProducer],
        patience: Patience,
        positions: Positions | None = None,
        forgotten: Forgotten | None = None,
    ) -> None:
        """Make the producer and end what its predecessor left open.

        `positions`: makes the marks that are kept with offsets. `forgotten`: finds transactions that brokers forgot.

        Raises:
            DeliveryError: the brokers do not answer.

        """
        self.failures = 0
        self._consumer, self._new_producer, self._patience = consumer, new_producer, patience
        self._positions, self._forgotten = positions, forgotten
        self._producer = new_producer()
        patience.retry(self._producer.init)

    def deliver(self, records: Sequence[Record], offsets: Mapping[int, int], membership: Any) -> bool:
        """See `Delivery`."""
        producer, topic = self._producer, self._consumer.topic
        marks = {p: self._positions.mark(p) for p in offsets} if self._positions else {}
        try:
            producer.begin()
            producer.send(records)
            self._patience.retry(lambda: producer.send_offsets(topic, offsets, membership, marks))
            self._patience.retry(producer.commit)
        except DeliveryError as error:
            self.failures += 1
            self._recover()
            if self._forgotten:
                self._forgotten.suspect_own(offsets)
            self._patience.failed(error)
            return False
        if self._positions:
            self._positions.settled(offsets, producer.ends, self._consumer.ahead)
        self._patience.succeeded()
        return True

    def tend(self) -> None:
        """End in the targets what this producer had committed or aborted and the brokers forgot to end there."""
        if self._forgotten is None:
            return
        held = self._forgotten.held(self._consumer.rebalances)
        if held is not None:
            self._end(held)

    def _end(self, targets: Sequence[Target]) -> None:
        """Abort a transaction that touches these: its markers end there whatever this producer left open."""
        log.warning("a transaction that was never ended is aborted: %s", targets or "in the group's offsets")
        consumer = self._consumer
        self._replace_producer()  # no late request of the old one can commit this
        producer = self._producer
        with contextlib.suppress(DeliveryError):
            producer.begin()
            producer.send([Record(topic, p, None, None, (("never_committed", b"1"),)) for topic, p in targets])
            producer.flush(_FLUSH_S)
            producer.send_offsets(consumer.topic, {0: 0}, consumer.membership())
        self._recover()

    def _recover(self) -> None:
        self._replace_producer()
        self._consumer.rewind()

    def _replace_producer(self) -> None:
        """Abort what the producer has open, and have the broker refuse what may still be on its way from it."""
        self._producer.discard()
        self._producer = self._new_producer()
        self._patience.retry(self._producer.init)


class AtLeastOnce:
    """Records first, then offsets: a crash in between repeats records, with the same decision_id."""

    def __init__(self, consumer: Group, producer: RecordProducer, patience: Patience, flush_s: float) -> None:
        """`flush_s`: how long records may take to arrive."""
        self.failures = 0
        self._consumer, self._producer, self._patience, self._flush_s = consumer, producer, patience, flush_s

    def deliver(self, records: Sequence[Record], offsets: Mapping[int, int], membership: Any) -> bool:  # noqa: ARG002
        """See `Delivery`."""
        try:
            self._producer.send(records)
            self._producer.flush(self._flush_s)
            self._patience.retry(lambda: self._consumer.commit(offsets))
        except DeliveryError as error:
            self.failures += 1
            self._consumer.rewind()
            self._patience.failed(error)
            return False
        self._patience.succeeded()
        return True

    def tend(self) -> None:
        """Nothing is due between batches."""

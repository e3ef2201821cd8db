"""Topics and a group of their own on a broker, and the parts of a worker there, for the tests of the stream."""

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from scoring.message.message_scorer import Answer
from stream.client.cluster import Admin, read_records
from stream.client.patience import Patience
from stream.client.producer import RecordProducer
from stream.client.reading import Reading
from stream.client.records import Batch, Beginning, Committed, Message, Record
from stream.position.broker import GroupConsumer
from stream.position.delivery import AtLeastOnce, ExactlyOnce
from stream.position.forgotten import Forgotten
from stream.position.group import Group
from stream.position.marks import Span, Written, claims_of_worker
from stream.position.position import Positions
from stream.routes import Routes
from stream.settings.client_settings import consumer_config, member_config, producer_config
from stream.settings.settings import GroupProtocol, StreamSettings
from tests.account import source
from tests.kafka_broker import KafkaServer, read_topic
from tests.waiting import PATIENCE_S

AnyReading = TypeVar("AnyReading", bound=Reading)


def from_the_start(_group: Group, committed: Mapping[int, Committed]) -> dict[int, Beginning]:
    return {p: Beginning(c.offset or 0) for p, c in committed.items()}


@dataclass
class Place:
    """A fresh input and output topic on a broker, and one for receipts if it is named."""

    address: str
    embedded: bool
    input: str
    output: str
    group: str
    receipts: str = ""
    lasting: bool = True
    protocol: GroupProtocol = GroupProtocol.CONSUMER
    opened: list[Reading] = field(default_factory=list)
    positions: Positions = field(init=False, repr=False)

    @classmethod
    def of(cls, server: KafkaServer, *, receipts: bool = False) -> "Place":
        source_topic, output, group = topics()
        names = (source_topic, output, f"receipts-{group}" if receipts else "")
        server.create(*filter(None, names))
        return cls(server.address, embedded=False, input=names[0], output=names[1], group=group, receipts=names[2])

    def close(self) -> None:
        """Close what a test left open, as when it failed: the client library may hang when it is left to the end."""
        for reading in self.opened:
            with contextlib.suppress(RuntimeError):  # the test has closed it
                reading.close()

    def settings(self, **more: Any) -> StreamSettings:
        values = {"bundle": Path(), "brokers": self.address, "input": self.input, "output": self.output}
        return StreamSettings(**{**values, "group": self.group, "group_protocol": self.protocol, **more})

    def consumer(self) -> GroupConsumer:
        config = consumer_config(self.settings(), "test", embedded=self.embedded)
        return self._opened(GroupConsumer(config, self.input, from_the_start))

    def producer(self, transactional_id: str | None = None) -> RecordProducer:
        connection = self.settings().connection
        config = producer_config(connection, transactional_id=transactional_id)
        return RecordProducer({**config, "transaction.timeout.ms": 120_000} if transactional_id else config)

    def at_least_once(self, consumer: GroupConsumer) -> AtLeastOnce:
        return AtLeastOnce(consumer, self.producer(), Patience(PATIENCE_S), PATIENCE_S)

    def exactly_once(self, consumer: GroupConsumer) -> ExactlyOnce:
        return ExactlyOnce(consumer, lambda: self.producer(self.group), Patience(PATIENCE_S))

    def worker(
        self, new_producer: Callable[[], RecordProducer] | None = None, others_s: float = 5
    ) -> tuple[GroupConsumer, ExactlyOnce]:
        """What makes delivery exactly once in the service, on one target and the receipts."""
        new_producer = new_producer or (lambda: self.producer(self.group))
        settings = self.settings()
        admin = Admin(settings.connection)
        claim = claims_of_worker(self.input, self.group)
        written = Written(topics=(self.output,), claim=claim, receipts=self.receipts, lasting=self.lasting)
        positions = Positions(settings.connection, written, admin.ends, earliest=False)
        consumer = GroupConsumer(consumer_config(settings, "test", embedded=False), self.input, positions)
        targets = [(topic, p) for topic in written.targets for p in range(4)]
        forgotten = Forgotten(targets, admin.ends, lambda _some: consumer.settled(range(4)), others_s=others_s)
        delivery = ExactlyOnce(consumer, new_producer, Patience(PATIENCE_S), positions, forgotten)
        self.positions = positions
        return self._opened(consumer), delivery

    def _opened(self, reading: AnyReading) -> AnyReading:
        self.opened.append(reading)
        return reading

    def decide(self, count: int, most: int = 100, *, counted: list[int] | None = None) -> list[int]:
        """Let a worker decide so many messages, then leave; the offsets of the messages that it had in hand.

        `counted` grows by one for each false claim.
        """
        consumer, delivery = self.worker()
        consumer.false_claims = self.positions.false_claims
        self.positions.false_claims.count = lambda: counted.append(1) if counted is not None else None
        offsets, end = list[int](), time.monotonic() + PATIENCE_S
        while len(offsets) < count and time.monotonic() < end:
            batch = consumer.take(min(most, count - len(offsets)), 0.1)
            offsets += [m.offset for m in batch.messages]
            if batch.messages:
                records = self.copies(batch, self.positions.key)
                assert delivery.deliver(records, batch.offsets, batch.membership)
        consumer.close()
        return offsets

    def delete_output(self) -> None:
        """Have all records of the output's partition 0 removed, as retention does."""
        end, admin = ck.TopicPartition(self.output, 0, ck.OFFSET_END), AdminClient({"bootstrap.servers": self.address})
        for removed in admin.delete_records([end]).values():
            removed.result(PATIENCE_S)

    def decided(self, topic: str = "") -> list[int]:
        """The offsets in partition 0 that committed decisions are about, or committed records of another topic."""
        return [source(r)[1] for r in read_topic(self.address, topic or self.output)]

    def offsets(self) -> Group:
        """One that knows the group's offsets only."""
        return self._opened(Group(member_config(self.settings().connection, self.group), self.input))

    def by_hand(self, transactional_id: str = "") -> RecordProducer:
        """A producer that has begun a transaction."""
        producer = self.producer(transactional_id or f"{self.group}-by-hand")
        patiently(producer.init)
        producer.begin()
        return producer

    def span(self, group: str = "", topic: str = "") -> Span:
        """What is kept with the committed offset of partition 0."""
        asked = Group(member_config(self.settings().connection, group or self.group), topic or self.input)
        span = Span.read(self._opened(asked)._ask([0], PATIENCE_S)[0], (0, 0))
        assert span is not None
        return span

    def messages(self, topic: str, *offsets: int) -> list[Message]:
        """These messages of partition 0."""
        until = {0: max(offsets, default=0) + 1}
        read = read_records(self.settings().connection, topic, {0: 0}, until, "read_uncommitted")
        return [m for m in read if m.offset in offsets]

    def decisions(self, *offsets: int, group: str | None = None) -> list[Record]:
        """The decisions of a worker for these messages of partition 0, and their receipts."""
        key = self.span().key
        made = self.copies(Batch(self.messages(self.input, *offsets), None, {}), lambda _partition: key)
        swapped = {"source_group": (group or self.group).encode()}
        return [r._replace(headers=[(n, swapped.get(n, v)) for n, v in r.headers]) for r in made]

    def copies(self, batch: Batch, key: Callable[[int], bytes]) -> list[Record]:
        """The records of a worker that copies, and their receipts."""
        routes = Routes(
            output=self.output, dead_letters="", receipts=self.receipts, bundle_id="0", group=self.group, key=key
        )
        return routes.records(batch, [Answer(decision=m.value) for m in batch.messages], 0.0)

    def send(self, *records: tuple[bytes | None, bytes | None], partition: int = 0) -> None:
        producer = self.producer()
        producer.send([Record(self.input, partition, key, value, (("trace", b"\x00\xff"),)) for key, value in records])
        producer.flush(PATIENCE_S)


def patiently(call: Callable[[], None]) -> None:
    """Make a call again while a busy broker does not answer."""
    Patience(PATIENCE_S).retry(call)


def take(consumer: GroupConsumer, messages: int, most: int = 100) -> list[Message]:
    taken: list[Message] = []
    end = time.monotonic() + PATIENCE_S
    while len(taken) < messages and time.monotonic() < end:
        taken += consumer.take(most, 0.1).messages
    return taken


_NUMBERS = count()


def topics() -> tuple[str, str, str]:
    name = f"{uuid.uuid4().hex[:8]}-{next(_NUMBERS)}"
    return f"in-{name}", f"out-{name}", f"group-{name}"

"""Topics and a group of their own on a broker, and the parts of a worker there, for the tests of the stream."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from scoring.messages import Answer
from stream.broker import GroupConsumer
from stream.client_settings import consumer_config, producer_config
from stream.cluster import Admin
from stream.delivery import AtLeastOnce, ExactlyOnce, Patience
from stream.forgotten import Forgotten
from stream.loop import Routes
from stream.position import Positions
from stream.producer import RecordProducer
from stream.records import Batch, Beginning, Committed, Message, Record
from stream.settings import StreamSettings


def from_the_start(_consumer: GroupConsumer, committed: Mapping[int, Committed]) -> dict[int, Beginning]:
    return {p: Beginning(c.offset or 0) for p, c in committed.items()}


@dataclass
class Place:
    """A fresh input and output topic on a broker."""

    address: str
    embedded: bool
    input: str
    output: str
    group: str

    def settings(self, **more: Any) -> StreamSettings:
        values = {"bundle": Path(), "brokers": self.address, "input": self.input, "output": self.output}
        return StreamSettings(**{**values, "group": self.group, **more})

    def consumer(self) -> GroupConsumer:
        config = consumer_config(self.settings(), "test", embedded=self.embedded)
        return GroupConsumer(config, self.input, from_the_start)

    def producer(self, transactional_id: str | None = None) -> RecordProducer:
        return RecordProducer(producer_config(self.settings().connection, transactional_id=transactional_id))

    def at_least_once(self, consumer: GroupConsumer) -> AtLeastOnce:
        return AtLeastOnce(consumer, self.producer(), Patience(20), 20)

    def exactly_once(self, consumer: GroupConsumer) -> ExactlyOnce:
        return ExactlyOnce(consumer, lambda: self.producer(self.group), Patience(20))

    def worker(self, new_producer: Callable[[], RecordProducer]) -> tuple[GroupConsumer, ExactlyOnce]:
        """What makes delivery exactly once in the service, on one target."""
        settings = self.settings()
        admin = Admin(settings.connection)
        positions = Positions(settings.connection, self.group, (self.output,), admin.ends, earliest=False)
        consumer = GroupConsumer(consumer_config(settings, "test", embedded=False), self.input, positions)
        written = [(self.output, p) for p in range(4)]
        forgotten = Forgotten(written, admin.ends, lambda: consumer.settled(range(4)), others_s=5)
        return consumer, ExactlyOnce(consumer, new_producer, Patience(80), positions, forgotten)

    def copies(self, batch: Batch) -> list[Record]:
        """The records of a worker that copies."""
        routes = Routes(output=self.output, dead_letters="", bundle_id="0", group=self.group)
        return [routes.record(m, Answer(decision=m.value)) for m in batch.messages]

    def send(self, *records: tuple[bytes | None, bytes | None], partition: int = 0) -> None:
        producer = self.producer()
        producer.send([Record(self.input, partition, key, value, (("trace", b"\x00\xff"),)) for key, value in records])
        producer.flush(20)


def take(consumer: GroupConsumer, messages: int, most: int = 100) -> list[Message]:
    taken: list[Message] = []
    end = time.monotonic() + 30
    while len(taken) < messages and time.monotonic() < end:
        taken += consumer.take(most, 0.1).messages
    return taken


def wait_until(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true"


_NUMBERS = count()


def topics() -> tuple[str, str, str]:
    name = f"{uuid.uuid4().hex[:8]}-{next(_NUMBERS)}"
    return f"in-{name}", f"out-{name}", f"group-{name}"

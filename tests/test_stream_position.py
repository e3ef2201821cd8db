"""Where a worker begins on a real Apache Kafka, whatever the broker still knows of the group's offsets."""

import time
from pathlib import Path

import pytest

from stream.broker import GroupConsumer
from stream.client_settings import member_config, producer_config
from stream.delivery import ExactlyOnce
from stream.forgotten import OTHERS_S, Forgotten
from stream.producer import RecordProducer
from stream.records import Batch, Message, Record, Target
from tests.kafka import KafkaServer, read_topic
from tests.kills import source
from tests.places import Place, take, topics, wait_until

pytestmark = pytest.mark.xdist_group("kafka")


@pytest.fixture
def place(kafka: KafkaServer) -> Place:
    source_topic, output, group = topics()
    kafka.create(source_topic, output)
    made = Place(kafka.address, embedded=False, input=source_topic, output=output, group=group)
    made.send(*[(b"k", b"v")] * 7)
    return made


def worker(place: Place) -> tuple[GroupConsumer, ExactlyOnce]:
    return place.worker(lambda: place.producer(place.group))


def decide(place: Place, count: int, most: int = 100, *, settle: bool = True) -> list[int]:
    """Let a worker decide so many messages, then leave; the offsets of the messages that it had in hand."""
    consumer, delivery = worker(place)
    offsets, end = list[int](), time.monotonic() + 30
    while len(offsets) < count and time.monotonic() < end:
        batch = consumer.take(min(most, count - len(offsets)), 0.1)
        offsets += [m.offset for m in batch.messages]
        if batch.messages and settle:
            assert delivery.deliver(place.copies(batch), batch.offsets, batch.membership)
    consumer.close()
    return offsets


def records(place: Place, *offsets: int, group: str | None = None) -> list[Record]:
    """The decisions of a worker for these messages."""
    messages = [Message(place.input, 0, offset, b"k", b"v", (), 0) for offset in offsets]
    made = place.copies(Batch(messages, None, {}))
    swapped = {"source_group": (group or place.group).encode()}
    return [r._replace(headers=[(n, swapped.get(n, v)) for n, v in r.headers]) for r in made]


def by_hand(place: Place) -> RecordProducer:
    producer = place.producer(f"{place.group}-by-hand")
    producer.init()
    producer.begin()
    return producer


def offset_of(place: Place) -> GroupConsumer:
    return GroupConsumer(member_config(place.settings().connection, place.group), place.input)


def decided(place: Place) -> list[int]:
    return [source(r)[1] for r in read_topic(place.address, place.output)]


def test_decisions_whose_offset_the_broker_forgot_are_not_made_again(place: Place) -> None:
    assert decide(place, 2) == [0, 1]
    producer = by_hand(place)
    producer.send(records(place, 2, 3))
    producer.commit()
    assert decide(place, 3) == [4, 5, 6]
    assert decided(place) == [0, 1, 2, 3, 4, 5, 6]
    assert offset_of(place).committed([0]) == {0: 7}


def test_what_the_broker_aborted_although_it_knows_the_offset_is_decided_again(place: Place) -> None:
    assert decide(place, 2) == [0, 1]
    end = offset_of(place).watermarks(place.output, 0)[1]
    producer = by_hand(place)
    producer.send(records(place, 2, 4))
    producer.flush(20)
    producer.abort()
    producer.begin()
    producer.send(records(place, 3))
    producer.send_offsets(place.input, {0: 5}, offset_of(place).membership(), {0: f"credit-1 2 {end}"})
    producer.commit()
    assert decide(place, 4) == [2, 4, 5, 6], "3 is decided, 2 and 4 are not"
    assert sorted(decided(place)) == [0, 1, 2, 3, 4, 5, 6]


def test_a_worker_that_dies_while_decided_messages_lie_ahead_leaves_them_known(place: Place) -> None:
    assert decide(place, 2) == [0, 1]
    producer = by_hand(place)
    producer.send(records(place, 4, 6))
    producer.commit()
    assert decide(place, 2, most=1) == [2, 3]
    assert decide(place, 1) == [5]
    assert sorted(decided(place)) == [0, 1, 2, 3, 4, 5, 6]


def test_an_operator_who_sets_the_offset_back_has_all_decided_again(place: Place) -> None:
    assert decide(place, 7) == [0, 1, 2, 3, 4, 5, 6]
    offset_of(place).commit({0: 4})
    assert decide(place, 3) == [4, 5, 6]
    assert decided(place) == [0, 1, 2, 3, 4, 5, 6, 4, 5, 6]


def test_an_operator_who_sets_the_offset_forward_has_messages_left_out(place: Place) -> None:
    assert decide(place, 2) == [0, 1]
    offset_of(place).commit({0: 5})
    assert decide(place, 2) == [5, 6]


def test_decisions_of_another_group_do_not_count(place: Place) -> None:
    assert decide(place, 2) == [0, 1]
    producer = by_hand(place)
    producer.send(records(place, 2, 3, group="another"))
    producer.commit()
    assert decide(place, 5) == [2, 3, 4, 5, 6]


def test_a_partition_begins_only_when_no_open_transaction_may_still_decide_something(place: Place) -> None:
    assert decide(place, 2) == [0, 1]
    producer = by_hand(place)
    producer.send(records(place, 2))
    producer.flush(20)
    consumer, _ = worker(place)
    wait_until(lambda: consumer.take(1, 0.1) and consumer.waiting)
    for _ in range(10):
        assert consumer.take(10, 0.1).messages == []
    assert sorted(consumer.waiting) == [0, 1, 2, 3]
    producer.commit()
    assert [m.offset for m in take(consumer, 4)] == [3, 4, 5, 6]
    consumer.close()


class DyingProducer(RecordProducer):
    """Its broker is killed right behind the first commit."""

    server: KafkaServer | None = None

    def commit(self) -> None:
        super().commit()
        if self.server is not None:
            self.server.kill()
            self.server = None


def test_a_transaction_that_a_killed_broker_never_ended_is_ended_by_the_worker(tmp_path: Path, java: None) -> None:  # noqa: ARG001
    """Killed right behind the commit, the broker calls it complete when it is back, and ends it nowhere."""
    server = KafkaServer(tmp_path / "kafka").start()
    try:
        names = topics()
        server.create(*names[:2])
        place = Place(server.address, embedded=False, input=names[0], output=names[1], group=names[2])
        place.send((b"k", b"v"))
        config = producer_config(place.settings().connection, transactional_id=place.group)
        producer = DyingProducer(config)
        producer.server = server
        producers = iter([producer])
        consumer, delivery = place.worker(lambda: next(producers, None) or place.producer(place.group))
        while not (batch := consumer.take(1, 0.1)).messages:
            pass
        assert delivery.deliver(place.copies(batch), batch.offsets, batch.membership)
        server.start()
        end = time.monotonic() + 60
        while not (decided(place) and consumer.assigned):
            assert time.monotonic() < end, "readers wait for ever"
            delivery.tend()
            if (batch := consumer.take(1, 0.1)).messages:
                delivery.deliver(place.copies(batch), batch.offsets, batch.membership)
        assert consumer.committed([0]) == {0: 1}
        assert decided(place) == [0]
        consumer.close()
    finally:
        server.stop()


class Cluster:
    """Ends of targets and a clock, to be set."""

    def __init__(self, *targets: Target) -> None:
        self.now, self.settled = 0.0, True
        self.last = dict.fromkeys(targets, 10)
        self.stable = dict.fromkeys(targets, 10)
        self.forgotten = Forgotten(targets, self.ends, lambda: self.settled, lambda: self.now)

    def ends(self, targets: list[Target], *, committed: bool) -> dict[Target, int]:
        return {t: (self.stable if committed else self.last)[t] for t in targets}

    def held_after(self, seconds: float, rebalances: int = 0) -> list[Target] | None:
        self.now += seconds
        return self.forgotten.held(rebalances)


def test_only_what_is_held_back_for_longer_than_a_transaction_may_last_is_forgotten() -> None:
    cluster = Cluster(("out", 0), ("out", 1))
    cluster.stable["out", 1] = 8
    assert cluster.held_after(0) is None
    assert cluster.held_after(OTHERS_S - 1) is None
    cluster.last["out", 0] = 99
    assert cluster.held_after(2) == [("out", 1)], "new transactions elsewhere do not matter"
    cluster.stable.update(cluster.last)
    assert cluster.held_after(OTHERS_S + 1) is None
    cluster.stable["out", 1] = 3
    assert cluster.held_after(OTHERS_S * 2) is None, "all was well: nothing is looked for until there is a reason"
    assert cluster.held_after(1, rebalances=1) is None
    assert cluster.held_after(OTHERS_S + 1, rebalances=1) == [("out", 1)]


def test_after_a_failure_of_its_own_a_worker_does_not_wait_long_and_sees_offsets_that_are_held_back() -> None:
    cluster = Cluster(("out", 0))
    cluster.settled = False
    cluster.forgotten.suspect_own()
    assert cluster.held_after(0) is None
    assert cluster.held_after(3) == []

"""One contract for every broker, and what only Apache Kafka has."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.errors import DeliveryError, SettingsError
from stream.client.cluster import Admin, EmbeddedBroker, read_records
from stream.client.errors import FatalError
from stream.client.patience import Patience
from stream.client.records import Record
from stream.position.broker import GroupConsumer
from stream.position.delivery import ExactlyOnce
from stream.settings.settings import GroupProtocol, StreamSettings, load_settings
from tests.kafka_broker import KafkaServer, read_topic
from tests.places import Place, patiently, take, topics
from tests.stage import Stage, good
from tests.waiting import PATIENCE_S, wait_until


class BrokerContract:
    """What the loop relies on, whatever the broker."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    def test_the_cluster_says_what_it_is(self, place: Place) -> None:
        cluster = Admin(place.settings().connection).cluster(place.input)
        assert (cluster.embedded, cluster.partitions[place.input]) == (place.embedded, 4)

    def test_keys_values_headers_and_partitions_arrive_as_they_were(self, place: Place) -> None:
        sent = [(b"k", b"v"), (None, b""), (b"", None), (b"\xff\x00", bytes(range(256)) * 4)]
        place.send(*sent, partition=2)
        consumer = place.consumer()
        messages = take(consumer, 4)
        consumer.close()
        assert [(m.key, m.value) for m in messages] == sent
        assert [(m.topic, m.partition, m.offset) for m in messages] == [(place.input, 2, i) for i in range(4)]
        assert all(list(m.headers) == [("trace", b"\x00\xff")] for m in messages)

    def test_what_has_arrived_is_taken_together_up_to_the_ceiling(self, place: Place) -> None:
        place.send(*[(b"k", str(i).encode()) for i in range(50)])
        consumer = place.consumer()
        batches = [take(consumer, 1, most=1)]
        while sum(map(len, batches)) < 50 and batches.count([]) < PATIENCE_S:
            batches.append(consumer.take(20, 1).messages)
        assert max(map(len, batches)) == 20
        assert [m.offset for batch in batches for m in batch] == list(range(50))

    def test_a_settled_batch_is_not_read_again_and_an_unsettled_one_is(self, place: Place) -> None:
        place.send(*[(b"k", b"v")] * 10)
        first = place.consumer()
        assert len(take(first, 10)) == 10
        assert place.at_least_once(first).deliver([], {0: 6}, first.membership())
        first.rewind()
        assert [m.offset for m in take(first, 4)] == [6, 7, 8, 9]
        first.close()
        second = place.consumer()
        assert [m.offset for m in take(second, 4)] == [6, 7, 8, 9]
        second.close()

    def test_a_member_that_leaves_is_replaced_and_a_member_that_joins_gets_partitions(self, place: Place) -> None:
        first, second = place.consumer(), None
        assert wait_until(lambda: len(first.assigned) == 4 or (first.take(1, 0.1) and len(first.assigned) == 4))
        second = place.consumer()
        assert wait_until(
            lambda: first.take(1, 0.05) and second.take(1, 0.05) and len(first.assigned) == len(second.assigned) == 2
        )
        assert sorted([*first.assigned, *second.assigned]) == [0, 1, 2, 3]
        first.close()
        assert wait_until(lambda: second.take(1, 0.1) and len(second.assigned) == 4)
        second.close()

    def test_a_rebalance_while_messages_are_in_hand_drops_them_and_they_are_read_again(self, place: Place) -> None:
        place.send(*[(b"k", b"v")] * 3)
        consumer = place.consumer()
        consumer._consumer = Rebalancing(consumer)  # type: ignore[assignment]
        messages = take(consumer, 3, most=2)
        messages += consumer.take(2, 0.5).messages
        consumer.close()
        assert [m.offset for m in messages] == [0, 1, 2], "each once, although the first was in hand meanwhile"

    def test_a_wrong_client_setting_is_named_without_its_value(self, place: Place) -> None:
        for name in ("security.protocol", "sasl.pasword"):
            flags = {"bundle": Path(), "brokers": place.address, "client": {name: "a-secret"}}
            with pytest.raises(SettingsError, match=name) as refused:
                Admin(load_settings(StreamSettings, flags, None).connection)
            assert "a-secret" not in str(refused.value)

    def test_records_to_a_partition_that_is_not_there_are_reported(self, place: Place) -> None:
        producer = place.producer()
        with pytest.raises(DeliveryError):  # noqa: PT012 - either of them says so
            producer.send([Record(place.input, 77, b"k", b"v", ())])
            producer.flush(PATIENCE_S)

    def test_reading_ends_at_the_given_offsets(self, place: Place) -> None:
        place.send(*[(b"k", b"v")] * 10)
        records = read_records(place.settings().connection, place.input, {0: 2, 1: 0}, {0: 5, 1: 0})
        assert [m.offset for m in records] == [2, 3, 4]


class Rebalancing:
    """A consumer whose partitions are taken away and given back between its first message and the rest."""

    def __init__(self, member: GroupConsumer) -> None:
        self._member, self._inner, self._due = member, member._consumer, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def consume(self, most: int, wait_s: float) -> list[Any]:
        if self._due:
            self._due = False
            partitions = self._inner.assignment()
            self._member._on_revoke(self._inner, partitions)
            self._member._on_assign(self._inner, partitions)
        return self._inner.consume(most, wait_s)


class TestEmbeddedBroker(BrokerContract):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        source, output, group = topics()
        broker = EmbeddedBroker()
        Admin({"bootstrap.servers": broker.address}).cluster(source, output)
        made = Place(broker.address, embedded=True, input=source, output=output, group=group)
        with contextlib.closing(made):
            yield made
        del broker


class TestApacheKafka(BrokerContract):
    @pytest.fixture
    def place(self, kafka: KafkaServer) -> Iterator[Place]:
        with contextlib.closing(Place.of(kafka)) as made:
            yield made

    def test_records_and_offsets_of_an_aborted_transaction_are_invisible(self, place: Place) -> None:
        place.send(*[(b"k", b"v")] * 3)
        consumer, producer = place.consumer(), place.producer(place.group)
        taken = take(consumer, 3)
        patiently(producer.init)
        producer.begin()
        producer.send([Record(place.output, 0, m.key, b"aborted", ()) for m in taken])
        producer.flush(PATIENCE_S)
        patiently(lambda: producer.send_offsets(place.input, {0: 3}, consumer.membership()))
        patiently(place.producer(place.group).init)  # which aborts
        assert consumer.committed([0]) == {0: None}
        assert place.exactly_once(consumer).deliver(
            [Record(place.output, 0, b"k", b"committed", ())], {0: 3}, consumer.membership()
        )
        assert consumer.committed([0]) == {0: 3}
        consumer.close()
        assert [r.value for r in read_topic(place.address, place.output)] == [b"committed"]
        unseen = read_topic(place.address, place.output, isolation="read_uncommitted")
        assert [r.value for r in unseen] == [b"aborted"] * 3 + [b"committed"], "they had been written"

    def test_the_write_of_a_member_that_was_replaced_is_refused(self, place: Place) -> None:
        place.send(*[(b"k", b"v")] * 3)
        zombie = place.consumer()
        messages = take(zombie, 3)
        membership = zombie.membership()
        zombie.close()
        heir = place.consumer()
        assert len(take(heir, 3)) == 3
        delivery = ExactlyOnce(heir, lambda: place.producer("zombie"), Patience(PATIENCE_S))
        records = [Record(place.output, 0, m.key, b"zombie", ()) for m in messages]
        assert not delivery.deliver(records, {0: 3}, membership)
        assert delivery.failures == 1
        assert len(take(heir, 3)) == 3, "they are read again"
        heir.close()
        assert read_topic(place.address, place.output) == []

    def test_a_producer_of_the_same_name_fences_the_older_one(self, place: Place) -> None:
        older = place.producer(place.group)
        patiently(older.init)
        older.begin()
        older.send([Record(place.output, 0, b"k", b"older", ())])
        patiently(place.producer(place.group).init)
        with pytest.raises(FatalError):
            patiently(older.commit)
        assert read_topic(place.address, place.output) == []

    def test_a_fenced_delivery_goes_on_with_a_new_producer(self, place: Place) -> None:
        place.send((b"k", b"v"))
        consumer = place.consumer()
        delivery = place.exactly_once(consumer)
        take(consumer, 1)
        patiently(place.producer(place.group).init)
        record = Record(place.output, 0, b"k", b"decision", ())
        assert not delivery.deliver([record], {0: 1}, consumer.membership())
        (again,) = take(consumer, 1)
        assert delivery.deliver([record], {0: again.offset + 1}, consumer.membership())
        consumer.close()
        assert [r.value for r in read_topic(place.address, place.output)] == [b"decision"]


class TestApacheKafka39(TestApacheKafka):
    """Brokers before 4.0, as many run them: other jars, the classic protocol."""

    @pytest.fixture
    def place(self, kafka_39: KafkaServer) -> Iterator[Place]:
        with contextlib.closing(replace(Place.of(kafka_39), protocol=GroupProtocol.CLASSIC)) as made:
            yield made

    def test_it_does_not_know_the_new_group_protocol(self, place: Place) -> None:
        assert not Admin(place.settings().connection).consumer_protocol()

    def test_a_worker_asks_for_the_protocol_and_says_which(self, kafka_39: KafkaServer, tmp_path: Path) -> None:
        with contextlib.closing(Stage(kafka_39.address, tmp_path).create(kafka_39)) as stage:
            stage.publish(*good(5))
            worker = stage.worker()
            stage.wait_for(5)
            code, said = worker.stop()
            assert (code, "group protocol: classic (the brokers were asked)" in said) == (0, True), said

    def test_a_worker_that_would_wait_for_ever_in_silence_ends(self, kafka_39: KafkaServer, tmp_path: Path) -> None:
        with contextlib.closing(Stage(kafka_39.address, tmp_path).create(kafka_39)) as stage:
            stage.publish(*good(5))
            code, said = stage.worker(group_protocol="consumer", stop_when_idle=1).ended()
            assert code == 4, said
            assert f"no partition of {stage.topics[0]} in the group {stage.name}" in said
            assert "brokers before 4.0 and --group-protocol consumer" in said

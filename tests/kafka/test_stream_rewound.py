"""The client library may go back to the start of a partition by itself; what was decided is not decided again."""

from collections.abc import Mapping
from pathlib import Path

import confluent_kafka as ck
import pytest

from stream.client.records import Beginning, Committed
from stream.position.broker import GroupConsumer
from stream.position.group import Group
from stream.settings.client_settings import consumer_config
from stream.settings.settings import GroupProtocol
from tests.kafka_broker import KafkaServer
from tests.places import Place, take
from tests.slow_link import EARLIEST, LIST_OFFSETS, Link, late_answers


def from_the_fifth(_group: Group, committed: Mapping[int, Committed]) -> dict[int, Beginning]:
    return {p: Beginning(5 if p == 0 else 0) for p in committed}


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("protocol", [GroupProtocol.CONSUMER, GroupProtocol.CLASSIC])
def test_a_late_answer_about_the_first_offset_moves_nothing(tmp_path: Path, protocol: GroupProtocol) -> None:
    server = KafkaServer.steady(tmp_path / "kafka")
    with Link(server.port, late_answers(LIST_OFFSETS, EARLIEST, 1.0)) as link:
        with (tmp_path / "kafka/steady.properties").open("a") as file:
            file.write(f"advertised.listeners=PLAINTEXT://127.0.0.1:{link.port}\n")
        server.start()
        try:
            place = Place.of(server)
            place.send(*[(b"k", b"v")] * 10)
            settings = place.settings(group_protocol=protocol)
            consumer = GroupConsumer(consumer_config(settings, "test", embedded=False), place.input, from_the_fifth)
            messages = take(consumer, 5)
            for _ in range(40):  # the answer comes, and with it what it does
                messages += consumer.take(100, 0.1).messages
            place.send((b"k", b"v"))
            messages += take(consumer, 1)
            consumer.close()
            assert [m.offset for m in messages] == [5, 6, 7, 8, 9, 10]
        finally:
            server.stop()


def test_a_client_that_goes_back_by_itself_is_not_followed(kafka: KafkaServer) -> None:
    place = Place.of(kafka)
    place.send(*[(b"k", b"v")] * 10)
    consumer = place.consumer()
    assert len(take(consumer, 10)) == 10
    consumer._consumer.seek(ck.TopicPartition(place.input, 0, 0))
    place.send((b"k", b"v"))
    assert [m.offset for m in take(consumer, 1)] == [10]
    consumer.close()

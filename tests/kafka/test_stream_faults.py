"""A worker as a process on a real Apache Kafka, while the broker, the program or a message fails it."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest

from stream.client.producer import RecordProducer
from stream.service import STOP_S
from stream.settings.client_settings import producer_config
from tests.account import source
from tests.kafka_broker import KafkaServer, Seen, read_topic
from tests.places import Place
from tests.stage import Stage, good
from tests.waiting import PATIENCE_S


@pytest.fixture
def own_kafka(java: None, tmp_path: Path) -> Iterator[KafkaServer]:  # noqa: ARG001
    """A broker that a test may kill."""
    server = KafkaServer(tmp_path / "kafka").start()
    yield server
    server.stop()


@pytest.fixture
def own_stage(own_kafka: KafkaServer, tmp_path: Path) -> Iterator[Stage]:
    with contextlib.closing(Stage(own_kafka.address, tmp_path).create(own_kafka)) as made:
        yield made


def test_sigterm_ends_within_5_s_while_the_broker_is_gone(own_kafka: KafkaServer, own_stage: Stage) -> None:
    worker = own_stage.worker()
    own_stage.publish(*good(3))
    own_stage.wait_for(3)
    own_kafka.kill()
    assert worker.says("WARNING broker: "), "it has noticed"
    code, said = worker.stop()
    by_watchdog = code == 5 and "watchdog: no progress for 4 s in the step" in said
    assert code == 0 or by_watchdog, said
    assert STOP_S < 5


def test_a_message_on_which_the_program_fails_becomes_a_dead_letter_and_holds_up_nothing(stage: Stage) -> None:
    stage.publish(*good(50), b"fault", *good(50), b"fault", b"bad")
    worker = stage.worker()
    stage.wait_for(100, 3)
    _, said = worker.stop()
    dead = read_topic(stage.address, stage.topics[2])
    assert [(r.value, r.headers["__connect.errors.code"]) for r in dead] == [
        (b"fault", b"fault"),
        (b"fault", b"fault"),
        (b"bad", b"refused"),
    ]
    assert [source(r)[1] for r in read_topic(stage.address, stage.topics[1])] == [*range(50), *range(51, 101)]
    assert f"{stage.topics[0]} partition 0 offset 50: ValueError at" in said
    assert "a value of the message" not in said


def test_a_batch_that_hangs_ends_the_process_with_5_and_is_read_again(stage: Stage) -> None:
    stage.publish(b"good", b"hang")
    code, said = stage.worker(deadline_seconds=3, retry_seconds=1).ended()
    assert code == 5
    assert "watchdog: no progress for 3 s in the step 'score'" in said
    assert stage.found() == (0, 0)


def test_a_broker_that_stands_still_ends_the_worker_and_nothing_is_lost(
    own_kafka: KafkaServer, own_stage: Stage
) -> None:
    worker = own_stage.worker(deadline_seconds=12, retry_seconds=2)
    own_stage.publish(*good(500), b"slow")
    assert worker.says("slow: they are in hand")
    own_kafka.process.send_signal(signal.SIGSTOP)
    code, said = worker.ended()
    own_kafka.process.send_signal(signal.SIGCONT)
    assert code in (4, 5), said
    own_stage.worker()
    own_stage.wait_for(501)
    assert len({source(r) for r in read_topic(own_stage.address, own_stage.topics[1])}) == 501


class BouncingProducer(RecordProducer):
    """Its broker dies when offsets are sent, and is started again meanwhile."""

    server: KafkaServer | None = None

    def send_offsets(
        self, topic: str, offsets: Mapping[int, int], membership: Any, marks: Mapping[int, str] | None = None
    ) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            server.kill()
            threading.Timer(1, server.begin).start()
        super().send_offsets(topic, offsets, membership, marks)


def committed(address: str, topic: str, count: int) -> list[bytes | None]:
    """Values in the topic once there are `count`: a commit is acknowledged before its marker shows everywhere."""
    end, seen = time.monotonic() + PATIENCE_S, list[Seen]()
    while len(seen) < count and time.monotonic() < end:
        time.sleep(0.5)
        with contextlib.suppress(ck.KafkaException):  # the broker is away
            seen = read_topic(address, topic)
    return [record.value for record in seen]


def test_a_broker_that_bounces_while_offsets_are_sent_does_not_stop_delivery(tmp_path: Path, java: None) -> None:  # noqa: ARG001
    """The guard of the client's version: with librdkafka 2.16 the call hangs and ignores its timeout.

    And of what a broker forgets: killed right behind a commit, it may never end that transaction in some partitions.
    """
    slow = tmp_path / "slow.properties"  # the broker's defaults: for some seconds after its restart it is fenced
    slow.write_text("broker.session.timeout.ms=9000\nbroker.heartbeat.interval.ms=2000\n")
    server = KafkaServer(tmp_path / "bounce", extra=slow).start()
    try:
        place = Place.of(server)
        place.send((b"k", b"first"), (b"k", b"second"))
        producers: list[BouncingProducer] = []

        def new_producer() -> RecordProducer:
            config = producer_config(place.settings().connection, transactional_id=place.group)
            producers.append(BouncingProducer(config))
            return producers[-1]

        consumer, delivery = place.worker(new_producer)

        seen, done = threading.Event(), 0

        def work() -> None:
            nonlocal done
            while not seen.is_set():
                delivery.tend()
                batch = consumer.take(1, 0.1)
                if not batch.messages:  # the group is not back yet, or all is done
                    continue
                if done == 1:
                    producers[0].server, bounced[0] = bounced[0], None
                done += delivery.deliver(place.copies(batch, place.positions.key), batch.offsets, batch.membership)

        bounced: list[KafkaServer | None] = [server]
        working = threading.Thread(target=work, daemon=True)
        working.start()
        values = committed(server.address, place.output, 2)
        seen.set()
        working.join(PATIENCE_S)
        assert not working.is_alive(), "the client hangs"
        consumer.close()
        assert values == [b"first", b"second"]
    finally:
        server.stop()

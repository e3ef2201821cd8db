"""publish and redrive while their broker is killed and comes back: they wait, and send each message once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.publish import Publishing, publish
from stream.redrive import DeadLetters, Pending, Resend
from stream.settings.settings import TopicSettings, load_settings
from tests.kafka_broker import KafkaServer, read_topic
from tests.killed_publish import messages
from tests.stage import Stage, bad


@pytest.fixture
def breakable(java: None, tmp_path: Path) -> Iterator[KafkaServer]:  # noqa: ARG001
    server = KafkaServer(tmp_path / "kafka").start()
    yield server
    server.stop()


def test_a_broker_killed_meanwhile_is_waited_for(breakable: KafkaServer, tmp_path: Path) -> None:
    stage = Stage(breakable.address, tmp_path).create(breakable)
    killed = 0

    def bounce() -> None:
        nonlocal killed
        breakable.kill()
        breakable.begin()  # nobody waits here until it is back
        killed += 1

    def pause(_seconds: float) -> None:
        if not killed:
            bounce()

    names = dict(zip(("input", "output", "dead_letters"), stage.topics, strict=True))
    settings = load_settings(TopicSettings, {"brokers": breakable.address, "group": stage.name, **names}, None)
    source = stage.topics[0]
    done = publish(settings, source, messages(300), Publishing(per_second=4_000, sleep=pause))
    assert done == (300, 0)
    assert Counter(r.value for r in read_topic(breakable.address, source)) == Counter(m for _, m in messages(300))
    stage.publish(*bad(30), partition=1)
    worker = stage.worker()
    stage.wait_for(300, 30)
    assert worker.stop()[0] == 0
    letters = DeadLetters(settings)

    def choose(pending: Pending) -> Resend:
        if killed == 1:
            bounce()
        return Resend(pending.message.value)

    assert letters.redrive(choose) == {"sent as they were": 30}
    letters.close()
    again = [r.value for r in read_topic(breakable.address, source) if "redriven_from" in r.headers]
    assert Counter(again) == Counter(bad(30))
    assert list(DeadLetters(settings).pending()) == []

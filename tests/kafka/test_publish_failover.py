"""publish and redrive while their only broker is killed and comes back; with three of them: test_stream_cluster."""

from pathlib import Path

import pytest

from tests.failover import publish_decide_and_redrive
from tests.kafka_broker import KafkaServer
from tests.stage import Stage

pytestmark = pytest.mark.kafka


def test_a_broker_killed_meanwhile_is_waited_for(java: None, tmp_path: Path) -> None:  # noqa: ARG001
    server = KafkaServer(tmp_path / "kafka").start()

    def bounce(_topic: str, _partition: int) -> None:
        server.kill()
        server.begin()  # nobody waits here until it is back

    try:
        publish_decide_and_redrive(Stage(server.address, tmp_path).create(server), bounce)
    finally:
        server.stop()

"""What ends a worker's membership for good: it ends with the client's text, or goes on otherwise."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka_broker import KafkaServer
from tests.stage import Stage, good

STATIC = json.dumps({"group.instance.id": "one"})


@pytest.fixture(scope="module")
def classic_only(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:  # noqa: ARG001
    """A broker of today with the group protocol of today switched off, as after an upgrade from Kafka 3.x.

    Its clients see what they see with the feature `group.version` at 0.
    """
    server = KafkaServer.steady(tmp_path_factory.mktemp("classic"))
    assert server.extra is not None
    with server.extra.open("a") as file:
        file.write("group.coordinator.rebalance.protocols=classic\n")
    yield server.start()
    server.stop()


def test_a_worker_that_chose_a_protocol_that_is_switched_off_goes_on_with_the_other(
    classic_only: KafkaServer, tmp_path: Path
) -> None:
    with contextlib.closing(Stage(classic_only.address, tmp_path).create(classic_only)) as stage:
        stage.publish(*good(5))
        worker = stage.worker()
        stage.wait_for(5)
        code, said = worker.stop()
        assert code == 0, said
        assert "group protocol: classic, since the brokers have switched the other one off" in said


def test_a_worker_that_was_told_to_use_it_ends_with_9_and_the_text_of_the_client(
    classic_only: KafkaServer, tmp_path: Path
) -> None:
    with contextlib.closing(Stage(classic_only.address, tmp_path).create(classic_only)) as stage:
        code, said = stage.worker(group_protocol="consumer").ended()
        assert code == 9, said
        assert "API version not supported" in said
        assert "--group-protocol classic" in said


def test_a_static_id_that_another_worker_took_over_ends_the_first_with_9(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", STATIC)
    stage.publish(*good(5))
    first = stage.worker(group_protocol="classic")
    stage.wait_for(5)
    second = stage.worker(group_protocol="classic")
    code, said = first.ended()
    assert (code, "Static consumer fenced" in said) == (9, True), said
    stage.publish(*good(5))
    stage.wait_for(10)
    assert second.stop()[0] == 0


def test_a_static_id_that_a_killed_worker_still_holds_ends_the_next_with_4_until_its_session_is_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor starts it again; with 9 it would stay away for good."""
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", STATIC)
    stage.publish(*good(5))
    first = stage.worker(group_protocol="consumer")
    stage.wait_for(5)
    code, said = stage.worker(group_protocol="consumer").ended()
    assert (code, "group.instance.id" in said) == (4, True), said
    first.process.kill()
    stage.publish(*good(5))
    while (code := stage.worker(group_protocol="consumer", stop_when_idle=1).ended()[0]) == 4:
        pass
    assert code == 0
    stage.wait_for(10)

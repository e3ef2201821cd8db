"""An interrupted publish goes on where it ended: each line is in the topic exactly once, in order per customer."""

import os
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from features.errors import InputError
from stream.arrived import Arrived, arrived_rows, row_headers
from stream.publish import Publishing, publish
from stream.settings.settings import ConnectionSettings, load_settings
from tests.conftest import PROJECT
from tests.kafka_broker import KafkaServer, Seen, read_topic
from tests.killed_publish import messages
from tests.stage import Stage

COUNT = 4_000


def settings(server: KafkaServer) -> ConnectionSettings:
    return load_settings(ConnectionSettings, {"brokers": server.address}, None)


def killed(server: KafkaServer, topic: str, batches: int) -> None:
    """Publish in a process of its own, which is killed with kill -9 after so many batches."""
    command = [sys.executable, "-m", "tests.killed_publish", server.address, topic, str(COUNT)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=PROJECT) as process:
        assert process.stdout is not None
        for _ in range(batches):
            assert process.stdout.readline()
        process.kill()


def check_once_and_in_order(seen: list[Seen]) -> None:
    assert Counter(record.value for record in seen) == Counter(body for _, body in messages(COUNT))
    rows = defaultdict(list)
    for record in sorted(seen, key=lambda record: (record.partition, record.offset)):
        rows[record.key].append(int(record.headers["publish_row"]))
    assert all(own == sorted(own) for own in rows.values())


def test_a_publish_killed_twice_and_resumed_sends_each_line_once(kafka: KafkaServer, stage: Stage) -> None:
    topic = stage.topics[0]
    killed(kafka, topic, batches=9)
    arrived = len(read_topic(kafka.address, topic))
    assert 0 < arrived < COUNT
    done = publish(settings(kafka), topic, messages(COUNT), Publishing(resume=True))
    assert done.before + done.sent == COUNT
    assert done.before >= arrived, "what was on its way counts as well"
    check_once_and_in_order(read_topic(kafka.address, topic))
    again = publish(settings(kafka), topic, messages(COUNT), Publishing(resume=True))
    assert again == (0, COUNT), "all of it is there"


def test_other_tables_are_not_taken_for_those_that_were_interrupted(kafka: KafkaServer, stage: Stage) -> None:
    topic, own = stage.topics[0], settings(kafka)
    publish(own, topic, messages(5))
    assert publish(own, topic, [("other", b"{}")], Publishing(resume=True)) == (1, 0), "nothing of it had arrived"
    with pytest.raises(InputError, match="are not those of then"):
        publish(own, topic, [("new", b"{}"), *messages(5)], Publishing(resume=True))
    headers = [("correlation-id", b"run-42")]
    publish(own, topic, messages(1), Publishing(headers=headers))
    borne = [r.headers.get("correlation-id") for r in read_topic(kafka.address, topic)]
    assert borne.count(b"run-42") == 1
    assert len(arrived_rows({"bootstrap.servers": kafka.address}, topic, 4, lambda _s: None).runs) == 3


def test_the_last_run_counts_and_a_message_without_a_customer_is_known_again() -> None:
    pairs = [(None, b"a"), ("c", b"b")]
    assert Arrived({}).last_of(pairs)[1] == set()
    headers = dict(row_headers("run", 7))
    assert headers == {"publish_run": b"run", "publish_row": b"7"}

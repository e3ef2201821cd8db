"""A worker as a process on a real Apache Kafka: every line of the contract that ends it, starts it or lets it go on."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient

from monitoring.metrics import STREAM
from stream.cluster import EmbeddedBroker
from stream.dead_letters import HEADROOM_BYTES
from tests.conftest import PROJECT
from tests.kafka import KafkaServer, free_port, read_topic
from tests.kills import source

pytestmark = pytest.mark.xdist_group("kafka")

INPUT_LIMIT = 1_048_588


@dataclass
class Running:
    """A worker's process and what it says on standard error."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def ended(self, seconds: float = 40) -> tuple[int, str]:
        code = self.process.wait(seconds)
        return code, self.log.read_text()

    def stop(self, seconds: float = 40) -> tuple[int, str]:
        self.process.terminate()
        return self.ended(seconds)


@dataclass
class Stage:
    """Topics of their own, and workers on them."""

    address: str
    folder: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    workers: list[Running] = field(default_factory=list)

    @property
    def topics(self) -> tuple[str, str, str]:
        return f"in-{self.name}", f"out-{self.name}", f"dead-{self.name}"

    def create(self, server: KafkaServer) -> "Stage":
        server.create(*self.topics[:2])
        server.create(self.topics[2], largest_message=INPUT_LIMIT + HEADROOM_BYTES)
        return self

    def worker(self, **flags: object) -> Running:
        source, output, dead = self.topics
        values = {"brokers": self.address, "input": source, "output": output, "dead-letters": dead, "group": self.name}
        values |= {name.replace("_", "-"): str(value) for name, value in flags.items()}
        command = [sys.executable, "-m", "tests.copy_worker", *(f"--{k}={v}" for k, v in values.items())]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(self.folder)}
        with (self.folder / f"worker-{len(self.workers)}.log").open("w") as said:
            process = subprocess.Popen(command, stderr=said, env=environment, cwd=PROJECT)
        self.workers.append(Running(process, Path(said.name)))
        return self.workers[-1]

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()

    def publish(self, *values: bytes, partition: int = 0) -> None:
        settings = {"bootstrap.servers": self.address, "message.max.bytes": 10_000_000, "compression.type": "gzip"}
        producer, errors = ck.Producer(settings), []
        for value in values:
            producer.produce(self.topics[0], value, b"key", partition, on_delivery=lambda e, _: errors.append(e))
        assert producer.flush(30) == 0
        assert not any(errors)

    def wait_for(self, decisions: int, dead_letters: int = 0, seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while (found := self.found()) != (decisions, dead_letters):
            assert time.monotonic() < end, found
            assert any(w.process.poll() is None for w in self.workers), self.workers[-1].log.read_text()
            time.sleep(0.2)

    def found(self) -> tuple[int, int]:
        return len(read_topic(self.address, self.topics[1])), len(read_topic(self.address, self.topics[2]))


@pytest.fixture
def stage(kafka: KafkaServer, tmp_path: Path) -> Iterator[Stage]:
    with contextlib.closing(Stage(kafka.address, tmp_path).create(kafka)) as made:
        yield made


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


def good(count: int) -> list[bytes]:
    return [f"good {i}".encode() for i in range(count)]


def bad(count: int) -> list[bytes]:
    return [f"bad {i}".encode() for i in range(count)]


def test_each_message_becomes_one_record_under_its_key_in_order_with_its_source(stage: Stage) -> None:
    values = [v for i in range(50) for v in (f"good {i}".encode(), f"bad {i}".encode() if i % 5 == 0 else b"x")]
    stage.publish(*values, partition=3)
    worker = stage.worker()
    stage.wait_for(90, 10)
    assert worker.stop()[0] == 0
    decisions, dead = (read_topic(stage.address, t) for t in stage.topics[1:])
    assert [source(r) for r in decisions] == [(3, i) for i, v in enumerate(values) if not v.startswith(b"bad")]
    assert [source(r) for r in dead] == [(3, i) for i, v in enumerate(values) if v.startswith(b"bad")]
    assert {(r.partition, r.key) for r in (*decisions, *dead)} == {(3, b"key")}
    headers = {"source_topic": stage.topics[0].encode(), "source_partition": b"3", "source_offset": b"0"}
    assert decisions[0].headers == {**headers, "source_group": stage.name.encode(), "bundle_id": b"0" * 64}
    assert dead[0].headers["__connect.errors.code"] == b"refused"


def test_sigterm_settles_leaves_the_group_at_once_and_ends_with_0(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    began = time.monotonic()
    assert first.stop(5)[0] == 0
    second = stage.worker()
    stage.publish(*good(10))
    stage.wait_for(20)
    assert time.monotonic() - began < 6 + 5, "the session timeout of 6 s was not waited for"
    assert second.stop()[0] == 0


def test_sigterm_ends_within_5_s_while_the_broker_is_gone(own_kafka: KafkaServer, own_stage: Stage) -> None:
    worker = own_stage.worker()
    own_stage.publish(*good(3))
    own_stage.wait_for(3)
    own_kafka.kill()
    time.sleep(1)
    code, _ = worker.stop(5.5)
    assert code in (0, 5), "5: the watchdog ended what could not leave the group"


def test_two_workers_with_the_same_flags_share_the_partitions_and_do_not_fence_each_other(stage: Stage) -> None:
    workers = [stage.worker(instance="same"), stage.worker(instance="same")]
    for round_ in range(5):
        for partition in range(4):
            stage.publish(*good(20), partition=partition)
        stage.wait_for(80 * (round_ + 1))
    said = [worker.stop() for worker in workers]
    assert [code for code, _ in said] == [0, 0]
    assert not any("read again" in text and "FENCED" in text for _, text in said)
    assert all("assigned: partitions" in text for _, text in said)


def test_the_circuit_breaker_stops_the_loop_commits_nothing_of_the_batch_and_says_what_to_do(stage: Stage) -> None:
    stage.publish(*good(50), *bad(300))
    code, said = stage.worker(max_messages=1000).ended()
    assert code == 6
    assert "refused at /x: 300" in said
    assert "--accept-rejects 300" in said
    assert stage.found() == (0, 0)
    code, _ = stage.worker(max_messages=1000).ended()
    assert code == 6, "starting again without a decision changes nothing"
    assert stage.found() == (0, 0)
    worker = stage.worker(max_messages=1000, accept_rejects=300)
    stage.wait_for(50, 300)
    stage.publish(*bad(300))
    code, _ = worker.ended()
    assert code == 6, "what was accepted is used up"
    assert stage.found() == (50, 300)


def test_the_circuit_breaker_sees_small_batches_together_and_lets_few_refusals_pass(stage: Stage) -> None:
    stage.publish(*[v for i in range(150) for v in (b"good", b"bad" if i % 2 else b"good")])
    worker = stage.worker(max_messages=7)
    stage.wait_for(225, 75)
    stage.publish(*bad(250))
    code, _ = worker.ended()
    assert code == 6
    decisions, dead = stage.found()
    assert decisions == 225
    assert 75 < dead < 75 + 110, "the batches before the last were committed, the last was not"


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


def test_decisions_whose_offset_the_broker_forgot_are_not_made_again_by_the_service(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    assert first.stop()[0] == 0
    producer = ck.Producer({"bootstrap.servers": stage.address, "transactional.id": f"by-hand-{stage.name}"})
    producer.init_transactions(20)
    producer.begin_transaction()
    for record in read_topic(stage.address, stage.topics[1])[:3]:
        headers = {**record.headers, "source_offset": str(record.offset + 10).encode()}
        producer.produce(stage.topics[1], b"decided", partition=0, headers=[*headers.items()])
    producer.commit_transaction(20)
    stage.publish(*good(20))
    second = stage.worker()
    stage.wait_for(30)
    code, said = second.stop()
    assert (code, "the brokers know the offset 10, but records tell otherwise" in said) == (0, True)
    assert [source(r)[1] for r in read_topic(stage.address, stage.topics[1])] == list(range(30))


def test_a_batch_that_hangs_ends_the_process_with_5_and_is_read_again(stage: Stage) -> None:
    stage.publish(b"good", b"hang")
    code, said = stage.worker(deadline_seconds=3, retry_seconds=1).ended()
    assert code == 5
    assert "watchdog: no progress for 3 s in the step 'score'" in said
    assert stage.found() == (0, 0)


def test_a_broker_that_stands_still_ends_the_worker_and_nothing_is_lost(
    own_kafka: KafkaServer, own_stage: Stage
) -> None:
    worker = own_stage.worker(deadline_seconds=5, retry_seconds=2)
    own_stage.publish(*good(5))
    own_stage.wait_for(5)
    own_stage.publish(*good(20_000))
    time.sleep(0.1)
    own_kafka.process.send_signal(signal.SIGSTOP)
    code, said = worker.ended()
    own_kafka.process.send_signal(signal.SIGCONT)
    assert code in (4, 5), said
    own_stage.worker()
    own_stage.wait_for(20_005)
    assert len({source(r) for r in read_topic(own_stage.address, own_stage.topics[1])}) == 20_005


def test_decisions_without_an_offset_stop_the_worker_until_the_operator_decides(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    assert first.stop()[0] == 0
    code, said = stage.worker(group=f"other-{stage.name}").ended()
    assert code == 4
    assert "this group has no offset, but out-" in said
    assert "--missing-offsets earliest" in said
    assert stage.found() == (10, 0)
    stage.worker(group=f"other-{stage.name}", missing_offsets="earliest")
    stage.wait_for(20)


def test_an_offset_that_is_gone_stops_the_worker(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    assert first.stop()[0] == 0
    stage.publish(*good(20))
    admin = AdminClient({"bootstrap.servers": stage.address})
    for future in admin.delete_records([ck.TopicPartition(stage.topics[0], 0, 25)]).values():
        future.result(20)
    code, said = stage.worker().ended()
    assert code == 4
    assert "the group's next offset is 10, but the topic holds 25 to 30" in said
    stage.worker(missing_offsets="earliest")
    stage.wait_for(15)


def test_an_aborted_first_transaction_does_not_count_as_decisions(stage: Stage) -> None:
    producer = ck.Producer({"bootstrap.servers": stage.address, "transactional.id": stage.name})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(stage.topics[1], b"never", partition=0)
    producer.flush(20)
    producer.abort_transaction(20)
    stage.publish(*good(3))
    stage.worker()
    stage.wait_for(3)


def test_what_does_not_fit_is_refused_before_anything_is_read(kafka: KafkaServer, stage: Stage) -> None:
    kafka.create(f"few-{stage.name}", partitions=2)
    kafka.create(f"small-{stage.name}")
    for flags, message in (
        ({"output": "not-there"}, "topic not-there does not exist"),
        ({"output": f"few-{stage.name}"}, "has 2 partitions"),
        ({"output": stage.topics[0]}, "expected different topics"),
        ({"dead_letters": f"small-{stage.name}"}, "expected at least 1114124"),
        ({"retry_seconds": 100}, "retry_seconds must be below deadline_seconds"),
        ({"reject_window": 20}, "reject_window"),
    ):
        code, said = stage.worker(**flags).ended()
        assert (code, message in said) == (2, True), said
    code, said = stage.worker(brokers=f"127.0.0.1:{free_port()}").ended()
    assert (code, "no answer from the brokers" in said) == (4, True)
    assert len(said.splitlines()) == 1, "the client library's own lines stay out of sight"


def test_the_largest_message_fits_into_the_dead_letters(stage: Stage) -> None:
    junk = b"bad" + os.urandom(INPUT_LIMIT - 3 - 90)
    stage.publish(b"good", junk, b"bad" + b"0" * 3_000_000, b"good")
    worker = stage.worker(max_messages=500)
    stage.wait_for(2, 2)
    assert worker.stop()[0] == 0
    assert read_topic(stage.address, stage.topics[2])[0].value == junk


def test_exactly_once_on_the_embedded_broker_is_refused_and_at_least_once_works(tmp_path: Path) -> None:
    broker = EmbeddedBroker()
    stage = Stage(broker.address, tmp_path)
    code, said = stage.worker().ended()
    assert (code, "exactly-once is not possible there" in said) == (2, True)
    worker = stage.worker(delivery="at-least-once")
    stage.publish(*good(20), *bad(5))
    stage.wait_for(20, 5)
    assert worker.stop()[0] == 0


def test_the_classic_protocol_works(stage: Stage) -> None:
    stage.publish(*good(5))
    worker = stage.worker(group_protocol="classic")
    stage.wait_for(5)
    assert worker.stop()[0] == 0


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_readiness_and_metrics(stage: Stage) -> None:
    port = free_port()
    worker = stage.worker(health_port=port)
    stage.publish(*good(30), *bad(3))
    stage.wait_for(30, 3)
    assert get(f"http://127.0.0.1:{port}/healthz") == (200, "alive\n")
    assert get(f"http://127.0.0.1:{port}/readyz") == (200, "ready\n")
    assert get(f"http://127.0.0.1:{port}/")[0] == 404
    time.sleep(0.3)
    _, text = get(f"http://127.0.0.1:{port}/metrics")
    values = {
        name: float(value) for name, value in re.findall(r"^([a-z_]+(?:{[^}]*})?) ([0-9.e+-]+)$", text, re.MULTILINE)
    }
    assert values["credit_stream_messages_total"] == 33
    assert values['credit_stream_decisions_total{credit_class="Good"}'] == 30
    assert values['credit_stream_dead_letters_total{code="refused"}'] == 3
    assert values['credit_stream_consumer_lag{partition="0"}'] == 0
    assert values["credit_stream_assigned_partitions"] == 4
    assert values["credit_stream_score_seconds_count"] == values["credit_stream_transaction_seconds_count"] >= 1
    assert values["credit_stream_refused_share"] == 3 / 200
    assert values["credit_stream_refused_share_limit"] == 0.5
    assert 0 <= values["credit_stream_step_seconds"] < 2
    assert values["credit_stream_step_limit_seconds"] == 90
    for metric in STREAM:
        assert f"# TYPE {metric.name} {metric.kind}" in text or metric.labels
    assert worker.stop()[0] == 0


@pytest.fixture(scope="module")
def secured(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaServer, str, Path]]:  # noqa: ARG001
    """A broker with a SASL_SSL listener beside the plain one, its address there, and the certificate to trust."""
    folder, port = tmp_path_factory.mktemp("secured"), free_port()
    store = ["-alias", "kafka", "-keystore", str(folder / "kafka.p12"), "-storepass", "of-the-test"]
    made = [
        "-genkeypair",
        "-keyalg",
        "RSA",
        "-storetype",
        "PKCS12",
        "-dname",
        "CN=127.0.0.1",
        "-ext",
        "san=ip:127.0.0.1",
    ]
    subprocess.run(["keytool", *store, *made], check=True, capture_output=True)
    trusted = ["-exportcert", "-rfc", "-file", str(folder / "ca.pem")]
    subprocess.run(["keytool", *store, *trusted], check=True, capture_output=True)
    server = KafkaServer(folder / "kafka", extra=folder / "secure.properties")
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    (folder / "secure.properties").write_text(
        f"listeners=PLAINTEXT://{server.address},CONTROLLER://127.0.0.1:{server.controller_port},"
        f"SECURE://127.0.0.1:{port}\nadvertised.listeners=PLAINTEXT://{server.address},SECURE://127.0.0.1:{port}\n"
        "sasl.enabled.mechanisms=PLAIN\nssl.keystore.type=PKCS12\nssl.keystore.password=of-the-test\n"
        f"ssl.key.password=of-the-test\nssl.keystore.location={folder / 'kafka.p12'}\n"
        f'listener.name.secure.plain.sasl.jaas.config={module} required user_credit="open-sesame";\n'
    )
    yield server.start(), f"127.0.0.1:{port}", folder / "ca.pem"
    server.stop()


@pytest.mark.parametrize(("password", "said"), [("open-sesame", "ended after 3"), ("wrong-sesame", "_AUTHENTICATION")])
def test_tls_and_sasl_pass_through_and_secrets_are_never_said(
    secured: tuple[KafkaServer, str, Path],
    password: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, address, certificate = secured
    client = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "credit"}
    client |= {"sasl.password": password, "ssl.ca.location": str(certificate)}
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", json.dumps(client))
    with contextlib.closing(Stage(server.address, tmp_path).create(server)) as stage:
        stage.publish(*good(3))
        code, text = stage.worker(brokers=address, stop_when_idle=2).ended()
        assert (code, said in text) == (4 if "wrong" in password else 0, True), text
        assert password not in text

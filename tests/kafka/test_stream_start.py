"""A worker as a process on a real Apache Kafka: where it begins, and what it refuses before it does."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from stream.client.cluster import EmbeddedBroker
from tests.account import source
from tests.kafka_broker import KafkaServer, read_topic
from tests.places import Place
from tests.stage import Stage, bad, good
from tests.waiting import PATIENCE_S, free_port, wait_until


def test_decisions_whose_offset_the_broker_forgot_are_not_made_again_by_the_service(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    assert first.stop()[0] == 0
    producer = ck.Producer({"bootstrap.servers": stage.address, "transactional.id": f"by-hand-{stage.name}"})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    stage.publish(*good(20))
    place = Place(stage.address, embedded=False, input=stage.topics[0], output=stage.topics[1], group=stage.name)
    for record in place.decisions(10, 11, 12):
        producer.produce(record.topic, record.value, record.key, 0, headers=[*record.headers])
    producer.commit_transaction(PATIENCE_S)
    second = stage.worker()
    stage.wait_for(30)
    code, said = second.stop()
    assert (code, "the brokers know the offset 10, but records tell otherwise" in said) == (0, True)
    assert [source(r)[1] for r in read_topic(stage.address, stage.topics[1])] == list(range(30))


def test_decisions_without_an_offset_stop_the_worker_until_the_operator_decides(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    assert first.stop()[0] == 0
    code, said = stage.worker(group=f"other-{stage.name}").ended()
    assert code == 9
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
        future.result(PATIENCE_S)
    code, said = stage.worker().ended()
    assert code == 9
    assert "the group's next offset is 10, but the topic holds 25 to 30" in said
    stage.worker(missing_offsets="earliest")
    stage.wait_for(15)


def test_an_aborted_first_transaction_does_not_count_as_decisions(stage: Stage) -> None:
    producer = ck.Producer({"bootstrap.servers": stage.address, "transactional.id": stage.name})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(stage.topics[1], b"never", partition=0)
    producer.flush(PATIENCE_S)
    producer.abort_transaction(PATIENCE_S)
    stage.publish(*good(3))
    stage.worker()
    stage.wait_for(3)


def test_what_does_not_fit_is_refused_before_anything_is_read(kafka: KafkaServer, stage: Stage) -> None:
    kafka.create(f"few-{stage.name}", partitions=2)
    kafka.create(f"small-{stage.name}")
    for flags, message in (
        ({"output": "not-there"}, "topic not-there does not exist"),
        ({"output": stage.topics[0]}, "expected different topics"),
        ({"dead_letters": f"small-{stage.name}"}, "expected at least 1114124"),
        ({"retry_seconds": 100}, "retry_seconds must be below deadline_seconds"),
        ({"reject_window": 20}, "reject_window"),
    ):
        code, said = stage.worker(**flags).ended()
        assert (code, message in said) == (2, True), said
    code, said = stage.worker(brokers=f"127.0.0.1:{free_port()}").ended()
    assert (code, "no answer from the brokers" in said) == (4, True)
    assert "Check the address" in said
    assert len(said.splitlines()) == 1, "the client library's own lines stay out of sight"


def test_partitions_that_a_target_lacks_wait_and_all_others_go_on(kafka: KafkaServer, stage: Stage) -> None:
    few = f"few-{stage.name}"
    kafka.create(few, partitions=2)
    for partition in range(4):
        stage.publish(*good(5), partition=partition)
    worker = stage.worker(output=few, health_port=free_port())
    assert worker.says(f"Add partitions: kafka-topics --alter --topic {few} --partitions 4")
    assert wait_until(lambda: len(read_topic(stage.address, few)) == 10)
    code, text = stage.worker(output=few, group=f"idle-{few}", missing_offsets="earliest", stop_when_idle=1).ended()
    assert (code, "could not begin: " in text) == (9, True), text
    admin = AdminClient({"bootstrap.servers": stage.address})
    for future in admin.create_partitions([NewPartitions(few, 4)]).values():
        future.result(PATIENCE_S)
    expected = {(p, i) for p in range(4) for i in range(5)}
    assert wait_until(lambda: set(map(source, read_topic(stage.address, few))) == expected)
    assert worker.stop()[0] == 0


@pytest.mark.process
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
        assert (code, said in text) == (9 if "wrong" in password else 0, True), text
        assert password not in text

"""`credit stream` as users meet it, on a real Apache Kafka: publish, decide, list dead letters, correct, redrive."""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import confluent_kafka as ck
import pytest

from monitoring.live.metric_names import STREAM, metrics_table
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.scorer import Scorer
from stream.settings.settings import StreamSettings, load_settings
from stream.settings.settings_table import settings_table
from tests.account import source
from tests.conftest import PROJECT, Credit
from tests.kafka_broker import KafkaServer, read_topic
from tests.process.test_cli import examples
from tests.waiting import PATIENCE_S


class Door:
    """The stream door on topics of its own."""

    def __init__(self, server: KafkaServer, bundle: Path, credit: Credit, folder: Path) -> None:
        name = uuid.uuid4().hex[:8]
        self.address, self.bundle, self.credit, self.folder = server.address, bundle, credit, folder
        self.input, self.output, self.dead = f"applications-{name}", f"decisions-{name}", f"dead-{name}"
        topics = ("--input", self.input, "--output", self.output, "--dead-letters", self.dead)
        self.where = ("--brokers", self.address, *topics, "--group", f"group-{name}")
        done = credit("stream", "topics", *self.where, "--replicas", 1)
        assert done.returncode == 0, done.stderr

    def run_until_idle(self, *more: object) -> "subprocess.CompletedProcess[str]":
        return self.credit("stream", "run", "--bundle", self.bundle, *self.where, "--stop-when-idle", 0.5, *more)

    def publish(self, *values: bytes | None) -> None:
        producer = ck.Producer({"bootstrap.servers": self.address, "message.max.bytes": 4_000_000})
        for i, value in enumerate(values):
            producer.produce(self.input, value, f"k{i}".encode(), partition=i % 4, headers=[("trace", b"\x00\xff")])
        assert producer.flush(30) == 0

    def dead_letters(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        return self.credit("stream", "dead-letters", arguments[0], *self.where, *arguments[1:])


@pytest.fixture
def door(kafka: KafkaServer, bundle: Path, credit: Credit, tmp_path: Path) -> Door:
    return Door(kafka, bundle, credit, tmp_path)


def bad_kinds(good: bytes) -> dict[str, bytes | None]:
    """Each kind of bad message that the issue names, and the code that it must get."""
    data = json.loads(good)

    def changed(**fields: object) -> bytes:
        return json.dumps({**data, **fields}).encode()

    event = data["events"][0]
    return {
        "tombstone": None,
        "empty": b"",
        "not json": b"{",
        "junk of 1 MB": os.urandom(1_000_000),
        "a megabyte of brackets": b"[" * 1_000_000,
        "bad UTF-8": good.replace(b'"as_of"', b'"as_of\xff"'),
        "NUL": changed(application_id="A\x001"),
        "duplicate key": good[:-1] + b',"application_id":"again"}',
        "unknown field": changed(extra=1),
        "missing field": json.dumps({k: v for k, v in data.items() if k != "as_of"}).encode(),
        "wrong type": changed(events="none"),
        "a list": b"[]",
        "unknown version": changed(schema_version=99),
        "as_of unreadable": changed(as_of="yesterday"),
        "as_of out of range": changed(as_of="2300-01-01"),
        "amount beyond int64": changed(events=[{**event, "amount": "99999999999999999999"}]),
        "amount beyond range as a number": good.replace(b'"events":[{', b'"events":[{"amount":1e400,', 1),
        "amount with too many decimals": changed(events=[{**event, "amount": "0.001"}]),
        "amount NaN": good.replace(b'"events":[', b'"events":[NaN,', 1),
        "unknown kind": changed(events=[{**event, "kind": "alchemy"}]),
        "unknown attribute": changed(attributes={**data["attributes"], "shoe_size": 43}),
        "no customer": changed(customer_id=None),
        "trailing text": good + b"{}",
    }


@pytest.mark.process
def test_bad_messages_between_good_ones_are_dead_letters_byte_for_byte(
    door: Door, dataset: Dataset, scorer: Scorer
) -> None:
    decided = set(scorer.score(dataset.applications, dataset.events).decisions["application_id"])
    messages = to_messages(dataset.applications.head(300), dataset.events, scorer.bundle.spec)
    made = [m.body for m in messages if m.application_id in decided]
    rich = next(body for body in made if json.loads(body)["events"])
    kinds = bad_kinds(rich)
    sent = [value for i, bad in enumerate(kinds.values()) for value in (made[2 * i], bad, made[2 * i + 1])]
    door.publish(*sent)
    done = door.run_until_idle()
    assert done.returncode == 0, done.stderr
    decisions, dead = read_topic(door.address, door.output), read_topic(door.address, door.dead)
    by_place = {(i % 4, i // 4): (f"k{i}".encode(), value) for i, value in enumerate(sent)}
    bad = set(kinds.values())
    assert {source(r): (r.key, r.value) for r in dead} == {p: kv for p, kv in by_place.items() if kv[1] in bad}
    assert {source(r) for r in decisions} == {p for p, kv in by_place.items() if kv[1] not in bad}
    assert len(decisions) + len(dead) == len(sent)
    assert all(r.header_list[0] == ("trace", b"\x00\xff") for r in dead)
    codes = {r.value: r.headers["__connect.errors.code"].decode() for r in dead}
    assert codes[kinds["duplicate key"]] == "field_repeated"
    assert codes[kinds["NUL"]] == "message_nul_character"
    assert codes[kinds["bad UTF-8"]] == "message_not_utf8"
    assert codes[kinds["tombstone"]] == "message_tombstone"
    assert codes[kinds["empty"]] == "message_not_json"
    assert codes[kinds["missing field"]] == "field_missing"
    assert not any(b"shoe" in r.headers["__connect.errors.exception.message"] for r in dead)


@pytest.mark.process
def test_publish_decide_list_correct_and_redrive(door: Door, tonight: Path, scorer: Scorer, credit: Credit) -> None:
    tables = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
    published = credit("stream", "publish", *tables, "--brokers", door.address, "--topic", door.input)
    assert (published.returncode, published.stdout) == (0, f"200 applications published to {door.input}\n")
    door.publish(b'{"a": 1}', b"{")
    assert door.run_until_idle().returncode == 0
    decisions, dead = read_topic(door.address, door.output), read_topic(door.address, door.dead)
    assert len(decisions) + len(dead) == 202
    customers = {json.loads(r.value or b"")["customer_id"] for r in decisions}
    assert {r.key.decode() for r in decisions if r.key} == customers
    shown = credit("stream", "decisions", *door.where, "--limit", 3)
    assert [json.loads(line)["bundle_id"] for line in shown.stdout.splitlines()] == [scorer.bundle.bundle_id] * 3

    listed = [json.loads(line) for line in door.dead_letters("list", "--json").stdout.splitlines()]
    assert len(listed) == len(dead)
    assert {row["code"] for row in listed} >= {"message_not_json", "field_unknown"} or len(listed) >= 2
    folder = door.folder / "letters"
    table = door.dead_letters("list", "--code", "message_not_json", "--export", folder)
    assert "1 dead letter not settled" in table.stdout
    (file,) = folder.iterdir()
    assert file.read_bytes() == b"{"
    good = decisions[0]
    file.write_bytes(body_of(door, good.partition, source(good)[1]))

    done = door.dead_letters("redrive", "--corrected", folder)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.split()[:-1] == ["put", "back", str(len(dead) - 1), "sent", "corrected"]
        or "sent corrected" in done.stdout
    )
    assert len(door.dead_letters("list", "--json").stdout.splitlines()) == len(dead) - 1
    assert door.run_until_idle().returncode == 0
    again = read_topic(door.address, door.output)
    assert len(again) == len(decisions) + 1
    newest = max((r for r in again), key=lambda r: r.timestamp_ms)
    assert newest.value == good.value, "the corrected message has the decision of the one that it repeats"

    done = door.dead_letters("redrive")
    assert f"sent as they were  {len(dead) - 1}" in " ".join(done.stdout.split("\n")).replace("   ", "  ")
    assert door.dead_letters("list", "--json").stdout == ""
    assert door.run_until_idle().returncode == 0
    assert len(door.dead_letters("list", "--json").stdout.splitlines()) == len(dead) - 1, "they failed again"


def body_of(door: Door, partition: int, offset: int) -> bytes:
    (record,) = [r for r in read_topic(door.address, door.input) if (r.partition, r.offset) == (partition, offset)]
    return record.value or b""


@pytest.mark.process
def test_sigterm_ends_the_command_with_0(door: Door) -> None:
    command = [sys.executable, "-m", "cli.main", "stream", "run", "--bundle", str(door.bundle), *door.where]
    worker = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
    for line in worker.stderr or ():
        if "assigned: partitions" in line:
            break
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0, "within 5 s, else the watchdog ends it with 5"


@pytest.mark.process
def test_the_examples_of_help_run(kafka: KafkaServer, bundle: Path, tonight: Path, credit: Credit) -> None:
    """In the order in which a user needs them, in a folder like the demo's, on this test's broker."""
    (tonight / "demo/bundles").mkdir(parents=True)
    (tonight / "demo/bundles/current").symlink_to(bundle)
    (tonight / "demo/tonight").symlink_to(tonight)
    order = ("topics", "embedded", "publish", "run", "status", "decisions", "dead-letters list", "dead-letters redrive")
    found = {" ".join(name[1:]): example for name, example in examples().items() if name[0] == "stream"}
    assert found.keys() == set(order)
    for name in order:
        example = [word.replace("127.0.0.1:9092", kafka.address) for word in found[name]]
        example += {"run": ["--stop-when-idle", "1"], "topics": ["--replicas", "1"]}.get(name, [])
        done = credit(*example[1:], cwd=tonight)
        assert done.returncode == 0, (name, done.stderr)


def test_flags_go_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "stream.toml"
    file.write_text(
        'bundle = "b"\nbrokers = "file:1"\ngroup = "file"\ninput = "file"\n[client]\n"sasl.password" = "s3"\n'
        '"sasl.username" = "u"\n"sasl.mechanism" = "PLAIN"\n'
    )
    monkeypatch.setenv("CREDIT_STREAM_GROUP", "environment")
    monkeypatch.setenv("CREDIT_STREAM_INPUT", "environment")
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", '{"security.protocol": "SASL_SSL"}')
    settings = load_settings(StreamSettings, {"input": "flag", "client": None}, file)
    assert (settings.brokers, settings.group, settings.input) == ("file:1", "environment", "flag")
    assert settings.connection == {
        "bootstrap.servers": "file:1",
        "sasl.password": "s3",
        "sasl.username": "u",
        "sasl.mechanism": "PLAIN",
        "security.protocol": "SASL_SSL",
    }
    assert "s3" not in repr(settings)


@pytest.mark.process
@pytest.mark.parametrize(
    ("environment", "flags", "said"),
    [
        ({"CREDIT_STREAM_BROKER": "x"}, (), "CREDIT_STREAM_BROKER is no setting"),
        ({"CREDIT_STREAM_CLIENT": '{"sasl.password": '}, (), "CREDIT_STREAM_CLIENT: expected one JSON object"),
        ({"CREDIT_STREAM_CLIENT": '{"enable.idempotence": "false"}'}, (), "enable.idempotence belongs to the worker"),
        ({}, ("--brokers", ""), "brokers: String should have at least 1 character"),
        ({}, ("--client", "topsecret"), "expected NAME=VALUE"),
        ({}, ("--client", "sasl.pasword=topsecret"), "sasl.pasword: the client knows no such setting"),
        ({}, ("--client", "security.protocol=topsecret"), "security.protocol: expected PLAINTEXT, SSL"),
        ({}, ("--settings", "nowhere.toml"), "nowhere.toml: no such settings file"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    environment: dict[str, str],
    flags: tuple[object, ...],
    said: str,
    credit: Credit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = credit("stream", "decisions", "--brokers", "127.0.0.1:1", *flags)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "topsecret" not in done.stderr


def test_the_documents_have_the_tables_of_settings_and_metrics() -> None:
    assert settings_table() in (PROJECT / "docs/stream.md").read_text()
    assert metrics_table(STREAM) in (PROJECT / "docs/monitoring.md").read_text()

"""Door 2's receipts: in the decision's transaction, one each, and into the decision log exactly once."""

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import confluent_kafka as ck
import polars as pl
import pytest
from confluent_kafka.admin import AdminClient

from receipts.log.read import frames
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.scorer import Scorer
from stream.dead_letters import HEADROOM_BYTES
from tests.account import source
from tests.conftest import PROJECT, Credit
from tests.kafka_broker import KafkaServer, Seen, read_topic
from tests.receipt_parts import of_bundle
from tests.waiting import PATIENCE_S

LARGEST = 1_048_588
TOPICS = ("applications-r", "decisions-r", "dead-r", "receipts-r")


@dataclass
class Decided:
    """What a worker made of some messages, one of them as large as the topic takes, every eleventh a bad one."""

    server: KafkaServer
    decisions: list[Seen]
    dead_letters: list[Seen]
    receipts: list[Seen]


@pytest.fixture(scope="module")
def decided(kafka: KafkaServer, credit: Credit, bundle: Path, scorer: Scorer, dataset: Dataset) -> Decided:
    flags = zip(("--input", "--output", "--dead-letters", "--receipts"), TOPICS, strict=True)
    where = ["--brokers", kafka.address, "--group", "receipts-r", *itertools.chain(*flags)]
    done = credit("stream", "topics", *where, "--replicas", 1)
    assert done.returncode == 0, done.stderr
    made = [m.body for m in to_messages(dataset.applications.head(300), dataset.events, scorer.bundle.spec)]
    values = [body[:-1] if i % 11 == 0 else body for i, body in enumerate(made)]
    overhead = 100  # of the batch and the key
    values[1] = values[1][:1] + b" " * (LARGEST - len(values[1]) - overhead) + values[1][1:]
    producer = ck.Producer({"bootstrap.servers": kafka.address, "message.max.bytes": 4_000_000})
    errors: list[object] = []
    for i, value in enumerate(values):
        producer.produce(TOPICS[0], value, f"k{i}".encode(), i % 4, on_delivery=lambda e, _: errors.append(e))
    assert producer.flush(PATIENCE_S) == 0
    assert not any(errors)
    done = credit("stream", "run", "--bundle", bundle, *where, "--stop-when-idle", 0.5)
    assert done.returncode == 0, done.stderr
    return Decided(kafka, *(read_topic(kafka.address, topic) for topic in TOPICS[1:]))


def consume(
    credit: Credit, server: KafkaServer, log: Path, bundles: Path, *more: object
) -> "subprocess.CompletedProcess[str]":
    where = ("--brokers", server.address, "--topic", TOPICS[3], "--log", log, "--bundles", bundles)
    return credit("log", "consume", *where, "--stop-when-idle", 0.5, *more)


def test_each_decision_has_one_receipt_under_its_key_and_a_dead_letter_none(decided: Decided) -> None:
    def places(records: list[Seen]) -> list[tuple[int, bytes | None, tuple[int, int]]]:
        return sorted((r.partition, r.key, source(r)) for r in records)

    assert places(decided.receipts) == places(decided.decisions)
    assert len(decided.receipts) + len(decided.dead_letters) == 300
    assert decided.dead_letters
    of = {source(r): json.loads(r.value or b"") for r in decided.receipts}
    for record in decided.decisions:
        receipt = of[source(record)]
        assert receipt["decision"] == json.loads(record.value or b"")
        assert receipt["source"] == {"topic": TOPICS[0], "partition": source(record)[0], "offset": source(record)[1]}
    assert max(len(r.value or b"") for r in decided.receipts) > LARGEST


def test_receipts_are_in_the_log_once_however_often_it_is_consumed(
    decided: Decided, credit: Credit, scorer: Scorer, dataset: Dataset, tmp_path: Path
) -> None:
    log, bundles = tmp_path / "log", scorer.bundle.path.parent
    for _ in range(2):
        done = consume(credit, decided.server, log, bundles)
        assert done.returncode == 0, done.stderr
    found = pl.concat(frames(log))
    assert found.height == len(decided.decisions)
    scored = scorer.score(dataset.applications.head(300), dataset.events).decisions
    expected = scored.join(found.select("application_id"), on="application_id", how="semi")
    assert found.select(scored.columns).sort("application_id").equals(expected.sort("application_id"))
    assert credit("log", "verify", log).returncode == 0
    assert credit("replay", log, "--bundles", bundles).returncode == 0


def test_consume_killed_at_any_step_goes_on_without_loss_or_double(
    decided: Decided, spec_file: Path, tmp_path: Path
) -> None:
    """Receipts of two bundles, so that a range has two parts."""
    topic = "receipts-killed"
    decided.server.create(topic, largest_message=LARGEST + HEADROOM_BYTES)
    producer = ck.Producer({"bootstrap.servers": decided.server.address, "message.max.bytes": 4_000_000})
    small = [r for r in decided.receipts if len(r.value or b"") < 50_000]
    for i, record in enumerate(small):
        value = of_bundle(record.value or b"", "f" * 64) if i % 3 else record.value
        producer.produce(topic, value, record.key, record.partition)
    assert producer.flush(PATIENCE_S) == 0
    command = [sys.executable, "-m", "tests.killed_consume", decided.server.address, topic, spec_file, tmp_path, 4]
    done = subprocess.run([*map(str, command)], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=900)
    steps = [line.split() for line in done.stdout.splitlines()]
    count = str(len(small))
    assert steps[-1] == ["end", "0", "0", count, count, "2"], done.stdout[-300:] + done.stderr[-2000:]
    assert {tuple(step[1:]) for step in steps[:-1]} == {("9", "0", count, count, "2")}, done.stdout
    assert len(steps) > 8


@pytest.fixture
def spec_file(scorer: Scorer, tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(scorer.bundle.spec.text)
    return path


def test_what_cannot_be_sealed_stops_with_its_place_and_the_way_on(
    kafka: KafkaServer, decided: Decided, credit: Credit, bundle: Path, tmp_path: Path
) -> None:
    topic, log = "receipts-bad", tmp_path / "log"
    kafka.create(topic, largest_message=LARGEST + HEADROOM_BYTES)
    producer = ck.Producer({"bootstrap.servers": kafka.address})
    good = [r.value for r in decided.receipts[:3]]
    for value in (good[0], b"{}", good[1]):
        producer.produce(topic, value, partition=2)
    producer.flush(PATIENCE_S)
    there = ("--topic", topic)
    done = consume(credit, kafka, log, bundle.parent, *there)
    assert done.returncode == 1
    assert f"{topic} partition 2 offset 1: receipt_not_json" in done.stderr
    assert "--skip 2:1" in done.stderr
    done = consume(credit, kafka, log, tmp_path, *there, "--skip", "2:1")
    assert (done.returncode, f"lacks the bundle {bundle.name}" in done.stderr) == (2, True), done.stderr
    assert not list(frames(log)), "nothing was sealed until then"
    done = consume(credit, kafka, log, bundle, *there, "--skip", "2:1")
    assert (done.returncode, f"stream-{topic} segment 1: 2 receipts, head " in done.stdout) == (0, True), done.stderr
    producer.produce(topic, good[2], partition=2)
    producer.produce(topic, good[2], partition=2)
    producer.flush(PATIENCE_S)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    for future in admin.delete_records([ck.TopicPartition(topic, 2, 4)]).values():
        future.result(PATIENCE_S)
    done = consume(credit, kafka, log, bundle, *there)
    assert (done.returncode, "the log goes on at offset 3" in done.stderr) == (9, True), done.stderr
    assert consume(credit, kafka, log, bundle, *there, "--from-earliest").returncode == 0
    assert sum(frame.height for frame in frames(log)) == 3


def test_forged_receipts_are_named_all_at_once_or_put_aside_and_the_log_goes_on(
    kafka: KafkaServer, decided: Decided, credit: Credit, bundle: Path, tmp_path: Path
) -> None:
    topic, dead, log = "receipts-forged", "receipts-aside", tmp_path / "log"
    kafka.create(topic, dead, largest_message=LARGEST + HEADROOM_BYTES)
    producer = ck.Producer({"bootstrap.servers": kafka.address})
    good = [r.value or b"" for r in decided.receipts[2:6]]
    reasons = [{"code": "C", "text": "t", "contribution": 1.0, "weak": False}] * 5
    five = json.dumps(json.loads(good[0]) | {"decision": json.loads(good[0])["decision"] | {"reasons": reasons}})
    stranger = of_bundle(good[1], "e" * 64)
    for value in (good[0], five.encode(), good[1], b"junk", None, good[2]):
        producer.produce(topic, value, b"k", partition=2)
    producer.flush(PATIENCE_S)
    there = ("--topic", topic)
    done = consume(credit, kafka, log, bundle, *there)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{topic} partition 2 offset 1: receipt_decision_wrong" in done.stderr
    assert "--skip 2:1 --skip 2:3 --skip 2:4" in done.stderr
    done = consume(credit, kafka, log, bundle, *there, "--dead-letters", dead)
    assert (done.returncode, "segment 1: 3 receipts" in done.stdout) == (0, True), done.stderr
    aside = read_topic(kafka.address, dead)
    assert [(source(r), r.value) for r in aside] == [((2, 1), five.encode()), ((2, 3), b"junk"), ((2, 4), None)]
    assert [r.headers["__connect.errors.code"] for r in aside][1:] == [b"receipt_not_json"] * 2
    producer.produce(topic, stranger, b"k", partition=2)
    producer.produce(topic, good[3], b"k", partition=2)
    producer.flush(PATIENCE_S)
    done = consume(credit, kafka, log, bundle, *there, "--dead-letters", dead)
    assert done.returncode == 2
    assert f"{topic} partition 2 offset 6: {bundle}: lacks the bundle {'e' * 64}" in done.stderr
    done = consume(credit, kafka, log, bundle, *there, "--skip", "2:6")
    assert (done.returncode, "segment 2: 1 receipts" in done.stdout) == (0, True), done.stderr
    done = consume(credit, kafka, log, bundle, *there, "--dead-letters", topic)
    assert (done.returncode, "other than" in done.stderr) == (2, True)


def test_a_topic_too_small_for_receipts_is_refused_at_start(kafka: KafkaServer, credit: Credit, bundle: Path) -> None:
    kafka.create("small-in", "small-out", "small-receipts")
    kafka.create("small-dead", largest_message=LARGEST + HEADROOM_BYTES)
    names = ("--input", "small-in", "--output", "small-out", "--dead-letters", "small-dead", "--receipts")
    done = credit("stream", "run", "--bundle", bundle, "--brokers", kafka.address, *names, "small-receipts")
    assert (done.returncode, "topic small-receipts: max.message.bytes is 1048588" in done.stderr) == (2, True)

"""The topic of events to the history store, on a real Apache Kafka, by the commands as a user runs them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import polars as pl
import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from features.matrix import build_features
from features.spec.contract import Spec
from history import Histories, HistoryStore, Limits, open_store, visible
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from serving.breaker import Breaker
from stream.client.cluster import Admin
from stream.client.records import Batch, Message
from stream.client.topic_reader import TopicReader
from stream.dead_letters import HEADROOM_BYTES
from stream.history import Aside, Fill, Sources, begin
from stream.routes import Routes
from tests.conftest import PROJECT, Credit
from tests.kafka_broker import KafkaServer, read_topic
from tests.process.test_history_doors import bare
from tests.stage import INPUT_LIMIT, Stage
from tests.waiting import PATIENCE_S, wait_until

CUSTOMERS = "C7-0000040"
BAD = [
    b'{"customer_id":"C7-0000001","occurred_at":"yesterday","kind":"purchase","amount":"1.00"}',
    b'{"customer_id":"C7-0000002","occurred_at":"2025-01-01","kind":"purchase","amount":1.234}',
    b'{"customer_id":null,"occurred_at":"2025-01-01","kind":"purchase","amount":1}',
    b"no json",
]


@dataclass
class Topics:
    address: str
    store: Path
    credit: Credit
    name: str
    held: list[AdminClient] = field(default_factory=list)

    @property
    def events(self) -> str:
        return f"events-{self.name}"

    @property
    def flags(self) -> list[object]:
        topics = ["--topic", self.events, "--control", f"control-{self.name}", "--dead-letters", f"dead-{self.name}"]
        return ["--store", self.store, "--brokers", self.address, *topics]

    def create(self, **settings: str) -> "Topics":
        keep = {"retention.ms": "-1"} | {name.replace("_", "."): value for name, value in settings.items()}
        new = [NewTopic(self.events, 2, 1, config=keep), NewTopic(f"dead-{self.name}", 1, 1)]
        admin = self.admin
        for made in admin.create_topics([*new, NewTopic(f"control-{self.name}", 1, 1)]).values():
            made.result(PATIENCE_S)
        return self

    def admin_of(self, call: Callable[[AdminClient], Any]) -> Any:
        """What a call of an admin client gives, which lives as long as that is waited for."""
        self.held.append(self.admin)
        return call(self.held[-1])

    @property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address})

    def publish(self, *values: bytes) -> None:
        producer = ck.Producer({"bootstrap.servers": self.address})
        for value in values:
            producer.produce(self.events, value, json.loads(value)["customer_id"] if value[:1] == b"{" else b"x")
        assert producer.flush(PATIENCE_S) == 0

    def consume(self) -> "subprocess.CompletedProcess[str]":
        return self.credit("history", "consume", *self.flags, "--stop-when-idle", 0.5)

    def opened(self) -> "contextlib.closing[HistoryStore]":
        return contextlib.closing(open_store(str(self.store)))


@pytest.fixture
def topics(kafka: KafkaServer, credit: Credit, training_folder: Path, tmp_path: Path) -> Topics:
    store = tmp_path / "store"
    assert credit("history", "init", "--spec", training_folder / "spec.toml", "--store", store).returncode == 0
    return Topics(kafka.address, store, credit, uuid.uuid4().hex[:8])


def messages(dataset: Dataset) -> list[bytes]:
    events = dataset.events.filter(pl.col("customer_id") < CUSTOMERS)
    texts = events.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), pl.col("kind").cast(str))
    return [json.dumps(row | {"amount": float(row["amount"])}).encode() for row in texts.to_dicts()]


def assert_whole(topics: Topics, dataset: Dataset, spec: Spec) -> None:
    """The features from an export are those of the events that were published."""
    out = topics.store.parent / f"export-{time.monotonic_ns()}"
    done = topics.credit("history", "export", "--store", topics.store, "--out", out)
    assert done.returncode == 0, done.stderr
    applications = dataset.applications.filter(pl.col("customer_id") < CUSTOMERS)
    found = build_features(applications, pl.read_parquet(out / "*.parquet"), spec)
    bad = ["C7-0000001", "C7-0000002"]
    expected = build_features(applications, dataset.events, spec)
    own = ~expected.applications["customer_id"].is_in(bad)
    assert found.matrix.tobytes() == expected.matrix[own.to_numpy()].tobytes()
    refused = found.rejects.filter(pl.col("code").str.starts_with("event_"))["code"].unique().sort().to_list()
    assert refused == ["event_amount_too_many_decimals", "event_occurred_at_unreadable"]


def test_events_are_consumed_once_through_kills_and_what_cannot_be_used_is_kept_and_put_aside(
    topics: Topics, dataset: Dataset, spec: Spec
) -> None:
    topics.create()
    given = messages(dataset)
    command = [sys.executable, "-m", "cli.main", "history", "consume", *map(str, topics.flags)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with (topics.store.parent / "log").open("wb") as log:
        for part in range(3):
            process = subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=log, stdout=log)
            topics.publish(*given[part::3])
            with topics.opened() as store:
                before = store.state().positions
                wait_until(lambda: store.state().positions != before)  # noqa: B023 - called at once
            process.send_signal(signal.SIGKILL)
            process.wait()
    topics.publish(*BAD)
    done = topics.consume()
    assert done.returncode == 0, done.stderr
    assert_whole(topics, dataset, spec)
    codes = {seen.headers["__connect.errors.code"] for seen in read_topic(topics.address, f"dead-{topics.name}")}
    assert codes >= {b"event_occurred_at_unreadable", b"event_amount_too_many_decimals", b"message_not_json"}
    with topics.opened() as store:
        state = store.state()
        assert state.complete_since == 0
        assert abs(state.heartbeat - time.time()) < PATIENCE_S
        assert sum(len(customer.records) for _, customer in store.everybody()) == len(given)
    checked = topics.credit("history", "verify", *topics.flags)
    assert checked.returncode == 0, checked.stderr
    assert "0 lost, 0 doubled" in checked.stdout
    _erased_and_voided(topics)


def _erased_and_voided(topics: Topics) -> None:
    name = "C7-0000008"
    with topics.opened() as store:
        unusable = store.read(["C7-0000001"]).customers[0].notes.unusable
    control = ["--brokers", topics.address, "--control", f"control-{topics.name}"]
    place = ["--partition", unusable[0].partition, "--offset", unusable[0].offset]
    assert topics.credit("history", "void", "--customer-id", "C7-0000001", *place, *control).returncode == 0
    sent = topics.credit("history", "erase", "--customer-id", name, "--topic", topics.events, *control)
    assert sent.returncode == 0, sent.stderr
    assert topics.consume().returncode == 0
    copied = topics.store.parent / "copy"
    assert topics.credit("history", "copy", "--store", topics.store, "--out", copied).returncode == 0
    assert name.encode() not in (copied / "data.mdb").read_bytes()
    with contextlib.closing(open_store(str(copied))) as store:
        assert not len(store.read([name]).customers[0].records)
        assert not visible(store.read(["C7-0000001"]).customers[0], None).notes.unusable
    assert topics.credit("history", "verify", *topics.flags).returncode == 0


class Watched(TopicReader):
    """A reader that compares, whenever more is asked for, what the store holds with what was given before."""

    store: HistoryStore
    given: dict[str, int]

    def take(self, wait_s: float, *more: int) -> list[Message]:
        positions = self.store.state().positions
        assert {p: positions.get(p, 0) for p in self.given} == self.given
        taken = super().take(wait_s, *more)
        self.given |= {str(message.partition): message.offset + 1 for message in taken}
        return taken


def test_what_was_read_is_written_before_more_is_asked_for(topics: Topics, dataset: Dataset) -> None:
    topics.create()
    given = messages(dataset)[:1_000]
    topics.publish(*given)
    connection = {"bootstrap.servers": topics.address}
    reader = Watched(connection, topics.events, topics.name)
    aside = Aside(connection, f"dead-{topics.name}", topics.name)
    with topics.opened() as store:
        reader.store, reader.given = store, {}
        start = begin(store, Admin(connection), reader)
        fill = Fill(store, Sources(events=reader, control=None, aside=aside, begin=start, breaker=Breaker()))
        fill.run(lambda: fill.written >= len(given))
    reader.close()
    assert sum(reader.given.values()) == len(given)


def test_topics_that_hold_no_history_are_refused_at_the_start(
    kafka: KafkaServer, credit: Credit, training_folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    assert credit("history", "init", "--spec", training_folder / "spec.toml", "--store", store).returncode == 0
    refusals = [
        ({"cleanup_policy": "compact"}, "compacted"),
        ({"retention_ms": "86400000"}, "keeps records for 1 days"),
    ]
    for settings, said in refusals:
        done = Topics(kafka.address, store, credit, uuid.uuid4().hex[:8]).create(**settings).consume()
        assert done.returncode == 2
        assert said in done.stderr
    topics = Topics(kafka.address, store, credit, uuid.uuid4().hex[:8]).create()
    assert topics.consume().returncode == 0
    admin = topics.admin
    admin.delete_topics([topics.events])[topics.events].result(PATIENCE_S)
    wait_until(lambda: topics.events not in admin.list_topics(timeout=5).topics)
    admin.create_topics([NewTopic(topics.events, 2, 1, config={"retention.ms": "-1"})])[topics.events].result()
    done = topics.consume()
    assert done.returncode == 9
    assert "made anew" in done.stderr


def test_the_stream_decides_without_events_with_the_same_bits_and_receipts_replay(
    topics: Topics, stage: Stage, scorer: Scorer, dataset: Dataset
) -> None:
    topics.create().publish(*messages(dataset))
    consumed = topics.consume()
    assert consumed.returncode == 0, consumed.stderr
    applications = dataset.applications.filter(pl.col("customer_id") < CUSTOMERS)
    carried = [m.body for m in to_messages(applications, dataset.events, scorer.bundle.spec)]
    stage.publish(*map(bare, carried))
    source, output, dead = stage.topics
    receipts, log = f"receipts-{stage.name}", topics.store.parent / "decisions"
    add_receipts(topics, stage)
    flags = ["--input", source, "--output", output, "--dead-letters", dead, "--receipts", receipts]
    run = ["stream", "run", "--bundle", scorer.bundle.path, "--brokers", topics.address, *flags]
    group = ["--group", stage.name, "--stop-when-idle", 0.5]
    done = topics.credit(*run, *group, "--history", topics.store, "--history-max-age", 3600)
    assert done.returncode == 0, done.stderr
    answers = MessageScorer(scorer).answer(carried)
    expected = [answer.decision for answer in answers if answer.decision]
    found = read_topic(topics.address, output)
    assert [seen.value for seen in found] == expected
    with topics.opened() as store:
        positions = store.state().positions
    assert all(json.loads(seen.headers["history_watermark"])["positions"] == positions for seen in found)
    consume = ["log", "consume", "--log", log, "--bundles", scorer.bundle.path, "--brokers", topics.address]
    sealed = topics.credit(*consume, "--topic", receipts, "--stop-when-idle", 0.5)
    assert sealed.returncode == 0, sealed.stderr
    replayed = topics.credit("replay", log, "--bundles", scorer.bundle.path)
    assert replayed.returncode == 0, replayed.stderr + replayed.stdout


def test_a_message_that_is_decided_again_has_the_same_bits_whatever_became_of_its_events(
    topics: Topics, stage: Stage, scorer: Scorer, dataset: Dataset
) -> None:
    """After a transaction that was aborted, after an operator has set the offset back, and after an erasure."""
    given, spec = messages(dataset), scorer.bundle.spec
    third = len(given) // 3
    topics.create().publish(*given[:third])
    assert topics.consume().returncode == 0
    add_receipts(topics, stage)
    applications = dataset.applications.filter(pl.col("customer_id") < CUSTOMERS)
    bare_ones = [bare(m.body) for m in to_messages(applications, dataset.events.clear(), spec)]
    stage.publish(*bare_ones)
    aborted = _aborted(topics, stage, scorer, bare_ones)

    def decided_again(*flags: object) -> None:
        done = _run(topics, stage, scorer, *flags)
        assert done.returncode == 0, done.stderr
        found = [seen.value for seen in read_topic(topics.address, stage.topics[1])]
        assert found[-len(aborted) :] == aborted
        _set_back(topics, stage)

    for part in (given[third : 2 * third], given[2 * third :]):
        topics.publish(*part)
        assert topics.consume().returncode == 0
        decided_again("--receipts", f"receipts-{stage.name}")
        with topics.opened() as store:
            newer = MessageScorer(scorer, None, Histories(store, spec, Limits(3600))).answer(bare_ones)
        assert [answer.decision for answer in newer if answer.decision] != aborted
    control = ["--topic", topics.events, "--control", f"control-{topics.name}", "--brokers", topics.address]
    erased = json.loads(aborted[0])["customer_id"]
    assert topics.credit("history", "erase", "--customer-id", erased, *control).returncode == 0
    assert topics.consume().returncode == 0
    decided_again("--receipts", f"receipts-{stage.name}")
    refused = _run(topics, stage, scorer)
    assert refused.returncode == 9, refused.stderr
    assert "no longer holds what" in " ".join(refused.stderr.split())


def add_receipts(topics: Topics, stage: Stage) -> None:
    receipts = f"receipts-{stage.name}"
    new = NewTopic(receipts, 4, 1, config={"max.message.bytes": str(INPUT_LIMIT + HEADROOM_BYTES)})
    topics.admin_of(lambda admin: admin.create_topics([new]))[receipts].result(PATIENCE_S)


def _aborted(topics: Topics, stage: Stage, scorer: Scorer, bodies: list[bytes]) -> list[bytes]:
    """What a worker of the group decided, wrote and had to abort: nobody has seen it committed."""
    source, output, dead = stage.topics
    with topics.opened() as store:
        answers = MessageScorer(scorer, None, Histories(store, scorer.bundle.spec, Limits(3600))).answer(bodies)
    routes = Routes(output=output, dead_letters=dead, bundle_id=scorer.bundle.bundle_id, group=stage.name)
    read = [Message(source, 0, i, b"key", body, (), 0) for i, body in enumerate(bodies)]
    producer = ck.Producer({"bootstrap.servers": topics.address, "transactional.id": f"{stage.name}-lost"})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    for record in routes.records(Batch(read, None, {}), answers, 0.0):
        producer.produce(record.topic, record.value, record.key, record.partition or 0, headers=list(record.headers))
    assert producer.flush(PATIENCE_S) == 0
    producer.abort_transaction(PATIENCE_S)
    return [answer.decision for answer in answers if answer.decision]


def _run(topics: Topics, stage: Stage, scorer: Scorer, *more: object) -> "subprocess.CompletedProcess[str]":
    source, output, dead = stage.topics
    flags = ["--input", source, "--output", output, "--dead-letters", dead, "--group", stage.name, *more]
    run = ["stream", "run", "--bundle", scorer.bundle.path, "--brokers", topics.address, *flags]
    return topics.credit(*run, "--stop-when-idle", 0.5, "--history", topics.store, "--history-max-age", 3600)


def _set_back(topics: Topics, stage: Stage) -> None:
    consumer = ck.Consumer({"bootstrap.servers": topics.address, "group.id": stage.name})
    consumer.commit(offsets=[ck.TopicPartition(stage.topics[0], 0, 0)], asynchronous=False)
    consumer.close()

"""Another bundle while a stream runs on a real Apache Kafka: nothing lost or doubled, each decision of one bundle."""

import json
import os
import signal
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from recipes.dataset import Dataset
from stream.dead_letters import HEADROOM_BYTES
from tests.account import one_receipt_each, source
from tests.kafka_broker import KafkaServer, Seen, read_topic
from tests.stage import INPUT_LIMIT, Running, Stage
from tests.two_bundles import TwoBundles
from tests.waiting import free_port, wait_until

CHANGES = int(os.environ.get("CREDIT_CHANGES", "6"))
WORKERS = 2


class Doors:
    """`credit stream run` in processes of their own, on the topics of a stage."""

    def __init__(self, stage: Stage, two: TwoBundles, receipts: str) -> None:
        self.stage, self.two, self.receipts = stage, two, receipts
        self.ports: list[int] = []

    def start(self) -> Running:
        """Start one more."""
        source_topic, output, dead = self.stage.topics
        self.ports.append(free_port())
        flags = {
            "bundle": self.two.link,
            "brokers": self.stage.address,
            "input": source_topic,
            "output": output,
            "dead-letters": dead,
            "receipts": self.receipts,
            "group": self.stage.name,
            "health-port": self.ports[-1],
            "instance": f"w{len(self.ports)}",
        }
        return self.stage.door(*(f"--{name}={value}" for name, value in flags.items()))

    def metrics(self, number: int) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[number]}/metrics") as answer:
            text: bytes = answer.read()
        return text.decode()


@pytest.fixture
def two(bundle: Path, rival: Path, dataset: Dataset, tmp_path: Path) -> TwoBundles:
    return TwoBundles.make(tmp_path / "bundles", bundle, rival, dataset)


@pytest.fixture
def doors(stage: Stage, kafka: KafkaServer, two: TwoBundles) -> Doors:
    receipts = f"receipts-{stage.name}"
    kafka.create(receipts, largest_message=INPUT_LIMIT + HEADROOM_BYTES)
    return Doors(stage, two, receipts)


def test_changes_while_messages_flow_and_a_worker_is_killed_lose_double_and_mix_nothing(
    doors: Doors, stage: Stage, two: TwoBundles
) -> None:
    for _ in range(WORKERS):
        assert doors.start().says("health at")
    bodies, sent = list(two.messages.values()), 0

    def publish(count: int) -> None:
        nonlocal sent
        for partition in range(4):
            stage.publish(*[bodies[(sent + i) % len(bodies)] for i in range(count)], partition=partition)
        sent += count

    def served(text: str) -> bool:
        return f'credit_bundle_info{{bundle_id="{target.name}"}} 1.0' in text

    target = two.folders[0]
    for number in range(1, CHANGES + 1):
        publish(40)
        target = two.folders[number % 2]
        two.lead_to(target)
        if number == CHANGES // 2:
            stage.workers[0].process.kill()
            stage.workers[0].process.wait()
            doors.start()
        publish(40)
        alive = [i for i, worker in enumerate(stage.workers) if worker.process.poll() is None]
        for i in alive:
            assert stage.workers[i].says("health at")
            assert wait_until(lambda: served(doors.metrics(i))), stage.workers[i].log.read_text()  # noqa: B023
    assert len(alive) == WORKERS
    stage.wait_for(4 * sent)
    told = doors.metrics(alive[0])
    for i in alive:
        assert stage.workers[i].stop()[0] == 0
    decisions = read_topic(stage.address, stage.topics[1])
    assert {source(r) for r in decisions} == {(p, i) for p in range(4) for i in range(sent)}, "each once"
    assert Counter(map(source, decisions)).most_common(1)[0][1] == 1, "and none twice"
    check_bits(decisions, two)
    one_receipt_each(read_topic(stage.address, doors.receipts), decisions)
    assert "credit_bundle_decisions_total" in told


def check_bits(decisions: list[Seen], two: TwoBundles) -> None:
    """Each decision is that of the bundle which its header and itself name, to the bit; both have decided."""
    names, found = list(two.messages), set()
    for record in decisions:
        bundle_id = record.headers["bundle_id"].decode()
        assert record.value == two.decisions[bundle_id][names[source(record)[1] % len(names)]]
        assert json.loads(record.value)["bundle_id"] == bundle_id
        found.add(bundle_id)
    assert found == {folder.name for folder in two.folders}


def test_a_bundle_that_does_not_verify_is_refused_and_the_stream_goes_on(
    doors: Doors, stage: Stage, two: TwoBundles
) -> None:
    worker = doors.start()
    assert worker.says("health at")
    two.lead_to(two.link.parent / "nowhere")
    assert worker.says("bundle refused")
    assert wait_until(lambda: "credit_bundle_refused 1.0" in doors.metrics(0))
    stage.publish(*list(two.messages.values())[:10])
    stage.wait_for(10)
    two.lead_to(two.folders[1])
    worker.process.send_signal(signal.SIGHUP)
    assert worker.says(f"bundle {two.folders[1].name} decides from here on")
    stage.publish(*list(two.messages.values())[:10])
    stage.wait_for(20)
    assert "credit_bundle_refused 0.0" in doors.metrics(0)
    code, said = worker.stop()
    assert code == 0
    assert said.count("bundle refused") == 1
    by = Counter(r.headers["bundle_id"].decode() for r in read_topic(stage.address, stage.topics[1]))
    assert by == {folder.name: 10 for folder in two.folders}

"""Challengers of a stream on a real Apache Kafka: decisions stay what they are, their receipts come with them, once."""

import json
from collections import Counter
from pathlib import Path

import pytest

from receipts.frame import SHADOW
from recipes.dataset import Dataset
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from stream.dead_letters import HEADROOM_BYTES
from tests.account import one_receipt_each, source
from tests.conftest import Credit
from tests.kafka_broker import Seen, read_topic
from tests.stage import INPUT_LIMIT, Running, Stage
from tests.two_bundles import TwoBundles
from tests.variants import variant
from tests.waiting import wait_until

COUNT = 60  # messages of each partition and phase
Place = tuple[int, int]


@pytest.fixture
def two(bundle: Path, rival: Path, dataset: Dataset, tmp_path: Path) -> TwoBundles:
    return TwoBundles.make(tmp_path / "bundles", bundle, rival, dataset)


@pytest.fixture
def strict(two: TwoBundles) -> Path:
    """A challenger that reads applications otherwise, so that it needs features of its own."""

    def narrower(text: str) -> str:
        return text.replace("range = [0, 150]", "range = [0, 20]", 1)

    return variant(two.folders[0], two.link.parent, spec=narrower)


def start(stage: Stage, two: TwoBundles, *challengers: Path) -> Running:
    """Start the worker, under one name, so that it takes over at once."""
    source_topic, output, dead = stage.topics
    flags = {
        "bundle": two.link,
        "brokers": stage.address,
        "input": source_topic,
        "output": output,
        "dead-letters": dead,
        "receipts": f"receipts-{stage.name}",
        "group": stage.name,
        "instance": "w",
        "max-messages": 20,
        "challenger-wait-ms": 10_000,
    }
    more = [f"--challenger={path}" for path in challengers]
    return stage.door(*(f"--{name}={value}" for name, value in flags.items()), *more)


def shadow_of(record: Seen) -> tuple[str, Place]:
    """The bundle of a challenger's receipt, and the place of the application."""
    receipt = json.loads(record.value or b"")
    assert (receipt["kind"], record.headers["kind"]) == (SHADOW, SHADOW.encode())
    assert not any(name.startswith("source_") for name in record.headers), "it claims to settle nothing"
    where = receipt["source"]
    assert (where["partition"], receipt["decision"]["bundle_id"]) == (
        record.partition,
        record.headers["bundle_id"].decode(),
    )
    return receipt["decision"]["bundle_id"], (where["partition"], where["offset"])


def test_decisions_stay_and_receipts_of_challengers_come_once_over_a_kill_and_a_change(
    stage: Stage, two: TwoBundles, strict: Path, credit: Credit, tmp_path: Path
) -> None:
    stage.server.create(f"receipts-{stage.name}", largest_message=INPUT_LIMIT + HEADROOM_BYTES)
    rival, following = two.folders[1], two.link.parent / "next"
    following.symlink_to(rival)
    broken = tmp_path / "broken"
    broken.mkdir()
    beside = (following, broken, two.folders[0])
    worker = start(stage, two, *beside)
    assert worker.says("health at"), worker.log.read_text()
    assert worker.log.read_text().count("challenger left out") == 2, "the broken one, and the champion itself"
    bodies, sent = list(two.messages.values()), 0

    def publish() -> None:
        nonlocal sent
        for partition in range(4):
            stage.publish(*[bodies[(sent + i) % len(bodies)] for i in range(COUNT)], partition=partition)
        sent += COUNT

    publish()
    assert wait_until(lambda: stage.found()[0] > 2 * COUNT)
    worker.process.kill()
    worker.process.wait()
    worker = start(stage, two, *beside)
    stage.wait_for(4 * sent)
    following.unlink()
    following.symlink_to(strict)
    assert worker.says(f"challenger opened: {strict.name}"), worker.log.read_text()
    first = sent
    publish()
    stage.wait_for(4 * sent)
    assert worker.stop()[0] == 0
    decisions = read_topic(stage.address, stage.topics[1])
    places = {(p, i) for p in range(4) for i in range(sent)}
    assert Counter(map(source, decisions)) == dict.fromkeys(places, 1), "each once"
    names = list(two.messages)
    for record in decisions:
        assert record.value == two.decisions[two.folders[0].name][names[source(record)[1] % len(names)]]
    receipts = read_topic(stage.address, f"receipts-{stage.name}")
    own = [record for record in receipts if "source_offset" in record.headers]
    one_receipt_each(own, decisions)
    shadows = {shadow_of(r): json.loads(r.value or b"")["decision"] for r in receipts if r not in own}
    assert len(shadows) == len(receipts) - len(own), "none twice"
    assert shadows.keys() == {(rival.name if i < first else strict.name, (p, i)) for p, i in places}, "and each once"
    alone = {path.name: MessageScorer(Scorer.open(path)) for path in (rival, strict)}
    for bundle_id, scorer in alone.items():
        mine = {place[1] for by, place in shadows if by == bundle_id}
        answers = zip(sorted(mine), scorer.answer([bodies[i % len(bodies)] for i in sorted(mine)]), strict=True)
        expected = {i: json.loads(answer.decision or b"") for i, answer in answers}
        assert all(shadows[by, place] == expected[place[1]] for by, place in shadows if by == bundle_id)
    _read_by_all(stage, two, sent, credit, tmp_path)


def test_the_champion_changes_beside_its_challengers(stage: Stage, two: TwoBundles) -> None:
    """Before and after, each application is decided by the one and shadowed by the other."""
    stage.server.create(f"receipts-{stage.name}", largest_message=INPUT_LIMIT + HEADROOM_BYTES)
    before, after = two.folders
    worker = start(stage, two, before, after)
    assert worker.says("health at"), worker.log.read_text()
    bodies = list(two.messages.values())[:COUNT]
    stage.publish(*bodies)
    stage.wait_for(COUNT)
    two.lead_to(after)
    assert worker.says(f"bundle {after.name} decides from here on"), worker.log.read_text()
    assert worker.says(f"challenger opened: {before.name}"), worker.log.read_text()
    stage.publish(*bodies)
    stage.wait_for(2 * COUNT)
    assert worker.stop()[0] == 0
    decisions = read_topic(stage.address, stage.topics[1])
    names = list(two.messages)
    decided = {source(record)[1]: record for record in decisions}
    assert [decided[i].headers["bundle_id"].decode() for i in range(2 * COUNT)] == [
        folder.name for folder in two.folders for _ in range(COUNT)
    ]
    receipts = read_topic(stage.address, f"receipts-{stage.name}")
    one_receipt_each([record for record in receipts if "source_offset" in record.headers], decisions)
    shadows = {shadow_of(r): r for r in receipts if "source_offset" not in r.headers}
    assert len(shadows) == len(receipts) - 2 * COUNT, "none twice"
    others = {(folder.name, (0, at + i)) for folder, at in ((after, 0), (before, COUNT)) for i in range(COUNT)}
    assert shadows.keys() == others
    for i, record in decided.items():
        assert record.value == two.decisions[record.headers["bundle_id"].decode()][names[i % COUNT]]
    for (by, (_, i)), record in shadows.items():
        expected = json.loads(two.decisions[by][names[i % COUNT]])
        assert json.loads(record.value or b"")["decision"] == expected


def _read_by_all(stage: Stage, two: TwoBundles, sent: int, credit: Credit, tmp_path: Path) -> None:
    """Every reader of the log takes decisions for decisions, and those of challengers for theirs."""
    rival = two.folders[1]
    log, bundles = tmp_path / "log", two.link.parent
    where = ("--brokers", stage.address, "--topic", f"receipts-{stage.name}", "--log", log, "--bundles", bundles)
    consumed = credit("log", "consume", *where, "--stop-when-idle", 0.5)
    assert consumed.returncode == 0, consumed.stderr
    verified = credit("log", "verify", log)
    assert verified.returncode == 0, verified.stdout
    lines = [" ".join(line.split()) for line in verified.stdout.splitlines()]
    assert f"receipts {4 * sent:,}" in lines
    assert f"receipts of challengers {4 * sent:,}" in lines
    replayed = credit("replay", log, "--bundles", bundles)
    assert f"Every bit of {4 * sent:,} decisions agrees." in replayed.stdout, replayed.stderr
    monitored = credit("monitor", log, "--bundle", two.folders[0], "--out", tmp_path / "page.html", "--fail-on", "none")
    assert monitored.returncode == 0, monitored.stderr
    assert "of other bundles" not in monitored.stdout + monitored.stderr
    page = tmp_path / "challenger.html"
    told = credit("challenger", "report", log, "--challenger", rival.name[:12], "--bundles", bundles, "--out", page)
    assert told.returncode == 0, told.stderr
    found = json.loads(page.with_suffix(".json").read_text())["applications"]
    assert found == COUNT  # each application was sent to four partitions, and is one decision

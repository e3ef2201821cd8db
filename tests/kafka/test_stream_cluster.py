"""Workers on three real brokers: how long partitions are without decisions when brokers die, restart, or grow.

CREDIT_CLUSTER=100,30,200000,10 (`make soak`) kills so many workers and brokers over so many messages, and freezes so
many brokers (SIGSTOP), with a session of the group of 6 s; a test without it waits for the 45 s of Kafka. What is
printed are the longest silences, and a table of them by fault.
"""

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.stream_cluster import measure
from tests.account import account, held, source
from tests.availability import Availability
from tests.failover import publish_decide_and_redrive
from tests.kafka_broker import read_topic
from tests.kafka_cluster import NODES, KafkaCluster, three_brokers
from tests.stage import Stage
from tests.waiting import wait_until

WORKER_KILLS, BROKER_KILLS, MESSAGES, FROZEN, *_ = (
    int(number) for number in [*os.environ.get("CREDIT_CLUSTER", "1,0,1000").split(","), "0"]
)
KILL, FREEZE = "kill -9 of a ", "SIGSTOP of a broker"
SHORT_SESSION = "group.consumer.session.timeout.ms=6000\ngroup.consumer.heartbeat.interval.ms=1000\n"


@pytest.fixture(scope="module")
def cluster(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:  # noqa: ARG001
    more = SHORT_SESSION if "CREDIT_CLUSTER" in os.environ else ""
    with three_brokers(tmp_path_factory.mktemp("cluster"), more) as made:
        yield made


def whole_again(cluster: KafkaCluster) -> None:
    assert wait_until(cluster.whole, pause_s=0.5), "all copies are in sync again"


def accounted(run: Availability) -> None:
    """All that was sent is decided once, in order, with one receipt each, and no worker ended by itself."""
    run.crowd.replace_dead(run.workers)
    run.load.end()
    sent = held(run.load, read_topic(run.cluster.address, run.topics[0]))
    assert wait_until(lambda: run.watch.arrived.keys() >= sent.keys(), pause_s=0.1), (
        f"{len(sent.keys() - run.watch.arrived.keys())} are not decided"
    )
    records = {t: read_topic(run.cluster.address, t) for t in run.topics[1:3]}
    report = account(sent, records)
    assert {name: report[name] for name in ("lost", "doubled", "invented", "out_of_order")} == dict.fromkeys(
        ("lost", "doubled", "invented", "out_of_order"), 0
    )
    receipts = read_topic(run.cluster.address, run.topics[3])
    assert sorted(map(source, receipts)) == sorted(map(source, records[run.topics[1]])), "one receipt each"
    assert run.crowd.own_exits == [], "no worker ends: " + run.crowd.logs[0].read_text()[-2000:]
    sys.stderr.write(f"{len(run.crowd.unready)} workers found no broker at their start\n")


def test_brokers_that_are_killed_or_restarted_end_no_worker_and_lose_nothing(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    with Availability(cluster, tmp_path) as run:
        for fault in ("leader", "coordinator"):
            node = cluster.nodes[
                cluster.leader(run.topics[1], 0) if fault == "leader" else cluster.coordinator(run.group)
            ]
            run.silences()
            node.kill()
            assert run.caught_up(), f"decisions go on after kill -9 of a {fault}"
            run.says(f"kill -9 of a {fault}")
            node.begin()
            whole_again(cluster)
            assert run.caught_up()
        began = time.monotonic()
        for n in NODES:
            cluster.nodes[n].process.terminate()
            cluster.nodes[n].process.wait(120)
            cluster.nodes[n].begin()
            whole_again(cluster)
        assert run.caught_up()
        run.says("rolling restart")
        run.says_waits("rolling restart", began)
        accounted(run)


@pytest.mark.parametrize("first", ["applications", "targets"])
def test_topics_grow_in_either_order_while_workers_run(cluster: KafkaCluster, tmp_path: Path, first: str) -> None:
    names = tuple(f"{name}-{first}" for name in ("applications", "decisions", "dead", "receipts"))
    with Availability(cluster, tmp_path, topics=names, group=f"grows-{first}", per_second=50, partitions=2) as run:  # type: ignore[arg-type]
        for topics in (names[:1], names[1:]) if first == "applications" else (names[1:], names[:1]):
            for topic in topics:
                cluster.grow(topic, 4)
            if topics == names[:1] and first == "applications":
                assert wait_until(lambda: any("waits, for" in log.read_text() for log in run.crowd.logs))
                said = "".join(log.read_text() for log in run.crowd.logs)
                assert f"--alter --topic {names[1]} --partitions 4" in said
                before = len(run.watch.arrived)
                assert wait_until(lambda before=before: len(run.watch.arrived) > before + 100), "the others go on"
        run.grown(4)
        assert wait_until(lambda: {p for p, _ in dict(run.load.sent)} == {0, 1, 2, 3}), "the load uses them"
        run.says(f"growth, {first} first")
        accounted(run)


def test_publish_and_redrive_outlast_the_death_of_a_leader(cluster: KafkaCluster, tmp_path: Path) -> None:
    stage, killed = Stage(cluster.address, tmp_path), list[int]()
    cluster.create(*stage.topics[:2])
    cluster.create(stage.topics[2], roomy=True)

    def fails(topic: str, partition: int) -> None:
        killed.append(cluster.leader(topic, partition))
        cluster.nodes[killed[-1]].kill()

    def heals() -> None:
        cluster.nodes[killed[-1]].begin()
        whole_again(cluster)

    with contextlib.closing(stage):
        publish_decide_and_redrive(stage, fails, heals)
    assert len(killed) == 2


def test_workers_and_brokers_that_are_killed_again_and_again_lose_and_double_nothing(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    faults = [f"{KILL}worker"] * WORKER_KILLS + [f"{KILL}broker"] * BROKER_KILLS + [FREEZE] * FROZEN
    names = ("in", "out", "dead-letters", "proofs")
    random.Random(1).shuffle(faults)  # noqa: S311
    with Availability(cluster, tmp_path, topics=names, group="killed", per_second=150) as run:
        for number, fault in enumerate(faults):
            node = cluster.nodes[NODES[number % 3]]
            if fault == FREEZE:
                node.process.send_signal(signal.SIGSTOP)
            elif fault == f"{KILL}broker":
                node.kill()
            else:
                run.crowd.kill(run.crowd.alive[number % len(run.crowd.alive)])
            assert run.caught_up(), f"decisions go on after {number + 1} faults"
            run.says(fault, f"{number + 1} of {len(faults)}, ")
            if fault == FREEZE:
                node.process.send_signal(signal.SIGCONT)
            elif fault == f"{KILL}broker":
                node.begin()
            if not fault.endswith("worker"):
                whole_again(cluster)
                assert run.caught_up(), "a broker that is back holds up nothing"
                run.says(f"{fault}: it is back", f"{number + 1} of {len(faults)}, ")
        run.table()
        assert wait_until(lambda: len(run.load.sent) >= MESSAGES, 4 * 3600)
        accounted(run)


def test_the_benchmark_on_three_brokers_runs(
    cluster: KafkaCluster, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(cluster, bundle, 400)
    said = capsys.readouterr().out
    assert "ours / plain: " in said
    assert "one worker " in said

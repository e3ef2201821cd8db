"""A worker as a process on a real Apache Kafka: what it does while all is well, and when messages are not."""

import os
import re
import urllib.error
import urllib.request

from confluent_kafka.admin import AdminClient

from monitoring.live.metric_names import STREAM
from tests.account import source
from tests.kafka_broker import read_topic
from tests.stage import INPUT_LIMIT, Stage, bad, good
from tests.waiting import PATIENCE_S, free_port, wait_until


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
    proofs = {r.headers.pop("source_proof") for r in decisions} | {r.headers["__connect.errors.proof"] for r in dead}
    assert len(proofs) == 100, "each has its own"
    assert decisions[0].headers == {**headers, "source_group": stage.name.encode(), "bundle_id": b"0" * 64}
    assert dead[0].headers["__connect.errors.code"] == b"refused"


def test_sigterm_settles_leaves_the_group_at_once_and_ends_with_0(stage: Stage) -> None:
    stage.publish(*good(10))
    first = stage.worker()
    stage.wait_for(10)
    assert first.stop()[0] == 0, "the watchdog gives 4.5 s, then it ends with 5"
    admin = AdminClient({"bootstrap.servers": stage.address})
    group = admin.describe_consumer_groups([stage.name])[stage.name].result(PATIENCE_S)
    assert list(group.members) == [], "who does not leave stays a member for 6 s"


def test_two_workers_with_the_same_flags_share_the_partitions_and_do_not_fence_each_other(stage: Stage) -> None:
    workers = [stage.worker(instance="same"), stage.worker(instance="same")]
    assert all(worker.says("assigned: partitions") for worker in workers)
    for round_ in range(5):
        for partition in range(4):
            stage.publish(*good(20), partition=partition)
        stage.wait_for(80 * (round_ + 1))
    said = [worker.stop() for worker in workers]
    assert [code for code, _ in said] == [0, 0]
    assert not any("read again" in text and "FENCED" in text for _, text in said)


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


def test_the_largest_message_fits_into_the_dead_letters(stage: Stage) -> None:
    junk = b"bad" + os.urandom(INPUT_LIMIT - 3 - 90)
    stage.publish(b"good", junk, b"bad" + b"0" * 3_000_000, b"good")
    worker = stage.worker(max_messages=500)
    stage.wait_for(2, 2)
    assert worker.stop()[0] == 0
    assert read_topic(stage.address, stage.topics[2])[0].value == junk


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metrics(port: int) -> dict[str, float]:
    _, text = get(f"http://127.0.0.1:{port}/metrics")
    found = re.findall(r"^([a-z_]+(?:{[^}]*})?) ([0-9.e+-]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_health_readiness_and_metrics(stage: Stage) -> None:
    port = free_port()
    worker = stage.worker(health_port=port)
    stage.publish(*good(30), *bad(3))
    stage.wait_for(30, 3)
    assert get(f"http://127.0.0.1:{port}/healthz") == (200, "alive\n")
    assert get(f"http://127.0.0.1:{port}/readyz") == (200, "ready\n")
    assert get(f"http://127.0.0.1:{port}/")[0] == 404
    assert wait_until(lambda: metrics(port)["credit_stream_messages_total"] == 33), "it is said behind the commit"
    assert wait_until(lambda: 0 <= metrics(port)["credit_stream_step_seconds"] < 1), "each step is a sign of life"
    assert wait_until(lambda: metrics(port).get('credit_stream_consumer_lag{partition="0"}') == 0), "at the next look"
    values = metrics(port)
    assert values['credit_stream_decisions_total{credit_class="Good"}'] == 30
    assert values['credit_stream_dead_letters_total{code="refused"}'] == 3
    assert values["credit_stream_assigned_partitions"] == 4
    assert values["credit_stream_score_seconds_count"] == values["credit_stream_transaction_seconds_count"] >= 1
    assert values["credit_stream_refused_share"] == 3 / 200
    assert values["credit_stream_refused_share_limit"] == 0.5
    assert values["credit_stream_step_limit_seconds"] == 90
    _, text = get(f"http://127.0.0.1:{port}/metrics")
    for metric in STREAM:
        assert f"# TYPE {metric.name} {metric.kind}" in text or metric.labels
    assert worker.stop()[0] == 0

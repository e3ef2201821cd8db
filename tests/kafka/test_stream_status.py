"""`credit stream status` and `topics --check`: what holds a group up, and what of topics does not fit."""

import json
from typing import Any

import confluent_kafka as ck
import pytest

from stream.client.cluster import Admin
from stream.settings.settings import TopicSettings, load_settings
from stream.topic_check import LEAST_RETENTION_MS, Finding, Layout, TopicCheck, check_fit
from tests.conftest import Credit
from tests.stage import Stage, good
from tests.waiting import PATIENCE_S, wait_until

FLAGS = ("input", "output", "dead-letters")


def where(stage: Stage) -> list[str]:
    pairs = zip(FLAGS, stage.topics, strict=True)
    return ["--brokers", stage.address, "--group", stage.name, *(w for n, t in pairs for w in (f"--{n}", t))]


def status(stage: Stage, credit: Credit) -> dict[str, Any]:
    done = credit("stream", "status", *where(stage), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_lag_members_and_open_transactions_are_named(stage: Stage, credit: Credit) -> None:
    stage.publish(*good(7), partition=1)
    before = status(stage, credit)
    assert (before["lag"], before["members"]) == (7, [])
    assert before["lag_seconds"] > 0
    assert [p["waits_for"] != "" for p in before["partitions"]] == [False, True, False, False]
    worker = stage.worker()
    stage.wait_for(7)
    upstream = ck.Producer({"bootstrap.servers": stage.address, "transactional.id": f"up-{stage.name}"})
    upstream.init_transactions(PATIENCE_S)
    upstream.begin_transaction()
    upstream.produce(stage.topics[0], b"good 8", partition=2)
    assert upstream.flush(PATIENCE_S) == 0
    assert wait_until(lambda: len(status(stage, credit)["members"]) == 1)
    now = status(stage, credit)
    assert [p["partition"] for p in now["partitions"] if p["waits_for"]] == [2]
    assert "a producer's open transaction" in now["partitions"][2]["waits_for"]
    (opened,) = now["open_transactions"]
    assert (opened["topic"], opened["partition"], opened["offset"]) == (stage.topics[0], 2, 0)
    assert opened["end"].endswith(f"abort --topic {stage.topics[0]} --partition 2 --start-offset 0")
    assert now["members"][0]["partitions"] == [0, 1, 2, 3]
    assert worker.says("an open transaction of a producer holds back what follows offset 0")
    said = credit("stream", "status", *where(stage)).stdout
    assert "open transaction: " in said
    upstream.abort_transaction(PATIENCE_S)
    assert wait_until(lambda: status(stage, credit)["lag"] == 0)
    assert worker.stop()[0] == 0


def test_check_names_each_thing_that_does_not_fit_and_its_command(stage: Stage, credit: Credit) -> None:
    stage.server.create(f"few-{stage.name}", partitions=2)
    flags = ["--output", f"few-{stage.name}", "--dead-letters", f"few-{stage.name}-2"]
    done = credit("stream", "topics", *where(stage), *flags, "--check", "--replicas", 1)
    assert done.returncode == 2
    assert (
        f"kafka-topics --bootstrap-server {stage.address} --alter --topic few-{stage.name} --partitions 4"
        in done.stdout
    )
    assert f"few-{stage.name}-2: does not exist" in done.stdout
    done = credit("stream", "topics", *where(stage), "--check", "--replicas", 1)
    assert (done.returncode, done.stdout) == (0, "The topics fit.\n"), done.stderr
    names = dict(zip(("input", "output", "dead_letters"), stage.topics, strict=True))
    settings = load_settings(TopicSettings, {"brokers": stage.address, **names}, None)
    said = [problem for _, problem, _ in check_fit(Admin(settings.connection), settings, 3)]
    assert sum("copies of a record" in text for text in said) == 3
    assert sum("min.insync.replicas is 1, expected 2" in text for text in said) == 3


GOOD = {
    "min.insync.replicas": "2",
    "max.message.bytes": "1000000",
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "unclean.leader.election.enable": "false",
}


def check(changed: str, settings: dict[str, str], brokers: int = 3, copies: int = 3) -> list[Finding]:
    """What is found where one topic is unlike the others."""
    three = Layout(replicas=[[1, 2, 3]] * 4, settings=GOOD | {"max.message.bytes": "1065536"})
    layouts = {"credit.applications": Layout(replicas=three.replicas, settings=GOOD)}
    layouts |= dict.fromkeys(("credit.decisions", "credit.dead-letters", "credit.receipts"), three)
    have = [list(range(1, copies + 1))] * 4
    layouts[changed] = Layout(
        replicas=have, settings={**layouts[changed].settings, **{n.replace("_", "."): v for n, v in settings.items()}}
    )
    given = load_settings(TopicSettings, {"brokers": "k:9092", "receipts": "credit.receipts"}, None)
    made = TopicCheck(settings=given, copies=3, brokers=list(range(1, brokers + 1)), layouts=layouts)
    return made.findings()


@pytest.mark.parametrize(
    ("topic", "settings", "problem", "mends"),
    [
        ("credit.applications", {"min_insync_replicas": "1"}, "min.insync.replicas is 1", "min.insync.replicas=2"),
        ("credit.decisions", {"min_insync_replicas": "3"}, "nothing can be written", "min.insync.replicas=2"),
        ("credit.receipts", {"max_message_bytes": "1000000"}, "expected 1065536", "max.message.bytes=1065536"),
        ("credit.decisions", {"cleanup_policy": "compact"}, "cleanup.policy is compact", "cleanup.policy=delete"),
        ("credit.receipts", {"retention_ms": "3600000"}, "retention.ms", f"retention.ms={LEAST_RETENTION_MS}"),
        ("credit.applications", {"retention_bytes": "1000"}, "retention.bytes", "retention.bytes=-1"),
        ("credit.applications", {"unclean_leader_election_enable": "true"}, "may be lost", "election.enable=false"),
    ],
)
def test_each_setting_that_does_not_fit_is_found_alone(
    topic: str, settings: dict[str, str], problem: str, mends: str
) -> None:
    ((found, said, command),) = check(topic, settings)
    assert (found, problem in said, mends in command) == (topic, True, True), (said, command)
    assert command.startswith(
        f"kafka-configs --bootstrap-server k:9092 --alter --entity-type topics --entity-name {topic}"
    )


def test_topics_that_fit_are_found_to_fit_and_copies_are_spread_over_brokers() -> None:
    assert check("credit.decisions", {}) == []
    assert check("credit.decisions", {"retention_ms": "1000"}) == [], "how long decisions stay is their readers' affair"
    found = check("credit.decisions", {"min_insync_replicas": "2"}, copies=1)
    plan = json.loads(found[0][2].split("'")[1])
    assert [p["replicas"] for p in plan["partitions"]] == [[1, 2, 3], [1, 2, 3], [1, 3, 2], [1, 2, 3]]
    assert "add some" in check("credit.decisions", {}, copies=1, brokers=2)[0][2]


def test_new_topics_need_copies_in_sync(stage: Stage, credit: Credit) -> None:
    topic = f"new-{stage.name}"
    flags = ["--input", topic, "--output", f"{topic}-o", "--dead-letters", f"{topic}-d", "--replicas", 1]
    done = credit("stream", "topics", "--brokers", stage.address, *flags)
    assert done.returncode == 0, done.stderr
    settings = Admin({"bootstrap.servers": stage.address}).settings(topic)
    assert settings["min.insync.replicas"] == "1"


def test_kafka_tools_are_given_the_client_settings_where_there_are_any() -> None:
    given = load_settings(TopicSettings, {"brokers": "k:9092", "client": {"security.protocol": "SSL"}}, None)
    layouts = {"credit.applications": Layout(replicas=[[1]], settings=GOOD | {"cleanup.policy": "compact"})}
    found = TopicCheck(settings=given, copies=1, brokers=[1], layouts=layouts).findings()
    assert "--command-config client.properties" in found[0].command

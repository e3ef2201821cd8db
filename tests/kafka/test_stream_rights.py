"""Who may do what on a real broker with an authorizer: the lines of docs/who-may-write.md, by names from tokens."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka.admin
import pytest

from features.errors import CreditError, DeliveryError, SettingsError
from stream.client.cluster import Admin
from stream.client.errors import PersonNeededError
from stream.client.topic_reader import TopicReader
from stream.dead_letters import HEADROOM_BYTES
from stream.publish import publish
from stream.redrive import DeadLetters, Resend
from stream.settings.settings import TopicSettings, load_settings
from stream.status import Look
from stream.topic_check import check_fit
from tests.kafka_broker import PROJECT, KafkaServer, read_topic
from tests.rights import client, guarded_broker
from tests.stage import INPUT_LIMIT, Running, Stage, bad, good
from tests.waiting import PATIENCE_S, wait_until

ck: Any = confluent_kafka.admin
TOPICS = {"input": "credit.applications", "output": "credit.decisions", "dead_letters": "credit.dead-letters"}
GROUP = "credit-scorer"


@dataclass
class Guarded:
    server: KafkaServer
    address: str

    def settings(self, name: str, function: str = "token") -> TopicSettings:
        given = {"brokers": self.address, "client": client(name, function), "group": GROUP}
        return load_settings(TopicSettings, given, None)


@pytest.fixture(scope="module")
def guarded(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:  # noqa: ARG001
    server, address = guarded_broker(tmp_path_factory.mktemp("guarded"))
    server.create(TOPICS["input"], TOPICS["output"])
    server.create(TOPICS["dead_letters"], "credit.receipts", largest_message=INPUT_LIMIT + HEADROOM_BYTES)
    admin = ck.AdminClient({"bootstrap.servers": server.address})
    for future in admin.create_acls(list(documented_rights())).values():
        future.result(PATIENCE_S)
    made = Guarded(server, address)
    names = {"loans": 1, "credit-worker": 4}
    wait_until(lambda: all(len(Admin(made.settings(n).connection).cluster().partitions) == c for n, c in names.items()))
    yield made
    server.stop()


def documented_rights() -> Iterator[Any]:
    """The lines of kafka-acls on the page, as an admin client gives them."""
    page = (PROJECT / "docs/who-may-write.md").read_text().replace("\\\n", " ")
    kinds = {"--topic": ck.ResourceType.TOPIC, "--group": ck.ResourceType.GROUP}
    kinds["--transactional-id"] = ck.ResourceType.TRANSACTIONAL_ID
    for line in re.findall(r"^kafka-acls (.*)$", page, re.MULTILINE):
        words = shlex.split(line)
        options = list(itertools.pairwise(words))
        (principal,) = (value for name, value in options if name == "--allow-principal")
        pattern = ck.ResourcePatternType.PREFIXED if "prefixed" in words else ck.ResourcePatternType.LITERAL
        for operation in (value for name, value in options if name == "--operation"):
            able = ck.AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()]
            for name, of in options:
                if name in kinds:
                    yield ck.AclBinding(kinds[name], of, pattern, principal, "*", able, ck.AclPermissionType.ALLOW)


def worker(guarded: Guarded, folder: Path, **more: object) -> Running:
    return Stage(guarded.address, folder).worker(**{**TOPICS, "group": GROUP, "stop_when_idle": 1, **more})


def test_the_documented_rights_are_enough_for_each_and_for_nothing_else(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loans = guarded.settings("loans")
    assert publish(loans, TOPICS["input"], [(f"c{i}", m) for i, m in enumerate(good(20) + bad(3))]) == (23, 0)
    with pytest.raises(SettingsError, match="may not see it"):
        publish(guarded.settings("loans"), TOPICS["output"], [("c", b"forged")])
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", json.dumps(client("credit-worker")))
    code, said = worker(guarded, tmp_path, receipts="credit.receipts").ended()
    assert (code, "ended after 23" in said) == (0, True), said
    assert len(read_topic(guarded.server.address, "credit.receipts")) == 20
    letters = DeadLetters(guarded.settings("credit-operator"))
    assert letters.redrive(lambda pending: Resend(pending.message.value)) == {"sent as they were": 3}
    letters.close()
    code, said = worker(guarded, tmp_path, group="another").ended()
    assert (code, "AUTHORIZATION_FAILED" in said) == (9, True), said


def test_those_who_read_can_read_and_no_more(guarded: Guarded) -> None:
    topics = {"credit-log": "credit.receipts", "offers": TOPICS["output"]}
    for name, topic in topics.items():
        reader = TopicReader(guarded.settings(name).connection, topic, name)
        starts = {p: low for p, (low, _) in reader.extents().items()}
        reader.read_from(starts)
        reader.take(0.1)
        reader.commit(starts)
        reader.close()
        with pytest.raises(SettingsError, match="may not see it"):
            TopicReader(guarded.settings(name).connection, TOPICS["input"], name)
    monitor = guarded.settings("credit-monitor")
    assert len(Look(monitor, 0.0).status().partitions) == 4
    assert check_fit(Admin(monitor.connection), monitor, 1) == []
    with pytest.raises(PersonNeededError, match=r"AUTHORIZATION_FAILED.*Before these, 0 messages arrived"):
        publish(monitor, TOPICS["output"], [("c", b"forged")])


@pytest.mark.parametrize(
    ("function", "kind", "cause"),
    [
        ("failing", DeliveryError, "it failed: OSError at "),
        ("expired", SettingsError, "has expired already"),
        ("in_milliseconds", SettingsError, "not milliseconds"),
    ],
)
def test_a_token_function_that_brings_none_says_why(
    guarded: Guarded, function: str, kind: type[CreditError], cause: str
) -> None:
    with pytest.raises(kind, match=cause) as caught:
        Admin(guarded.settings("credit-worker", function).connection).cluster()
    assert "secret" not in str(caught.value)
    assert "oauth_cb" in str(caught.value)

"""`credit log find` sees receipts that the REST door has not sealed yet, once, and disturbs nobody who writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from receipts.log.find import find
from receipts.log.folder import create_log
from receipts.outbox.outbox import Outbox
from receipts.outbox.outbox_files import Maker
from receipts.outbox.sealer import seal_outboxes
from receipts.outbox.unsealed import find_unsealed
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import encoded, rest_receipts, some_lines
from tests.rest_door import running

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def example(scorer: Scorer) -> dict[str, Any]:
    return example_application(scorer.bundle.spec)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    create_log(tmp_path / "log")
    return tmp_path / "log"


def outbox(log: Path, scorer: Scorer, more: str = "") -> Outbox:
    return Outbox(log / "outbox", Maker(scorer.bundle.bundle_id, more + scorer.bundle.spec.text), durable=True)


def seal(log: Path) -> None:
    seal_outboxes(log, None, lambda _head: None, lambda _writer, error: pytest.fail(str(error)))


@pytest.mark.process
def test_a_decision_of_just_now_is_found_while_the_door_serves(
    bundle: Path, example: dict[str, Any], credit: Credit, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(bundle, tmp_path / "door", "fastapi", "--log", log, seal_seconds=86_400) as door:
        answered = [door.score(encoded(example, application_id=f'A"{i}é'), X_Request_ID=f"r{i}").json for i in range(3)]
        found = credit("log", "find", log, "--application-id", 'A"1é', "--json")
        shown = credit("log", "find", log, "--decision-id", answered[2]["decision_id"])
        replayed = credit("replay", log, "--bundles", bundle.parent, "--decision-id", answered[2]["decision_id"])
        door.score(encoded(example, application_id="A3"), X_Request_ID="r3")
    (record,) = json.loads(found.stdout)
    assert record["decision"] == answered[1]
    assert (record["segment"], record["origin"]["request_id"]) == (None, "r1")
    assert record["application"]["application_id"] == 'A"1é'
    assert f"none yet: it waits in the outbox of {record['outbox']['writer']}" in shown.stdout
    assert (replayed.returncode, "is not sealed yet" in replayed.stderr) == (1, True)
    assert sorted(rest_receipts(log)["request_id"]) == ["r0", "r1", "r2", "r3"], "looking took and left nothing"
    (record,) = json.loads(credit("log", "find", log, "--application-id", 'A"1é', "--json").stdout)
    assert (record["decision"], record["segment"]["number"]) == (answered[1], 1)


def test_what_is_sealed_between_the_two_looks_is_shown_once(log: Path, scorer: Scorer, example: dict[str, Any]) -> None:
    lines = some_lines(scorer, example, 3)
    box = outbox(log, scorer)
    box.append(lines)
    before = find_unsealed(log, "customer_id", example["customer_id"], None)
    assert (before.rows, [frame.height for _, frame in before.found]) == (3, [3])
    box.begin()
    box.append(some_lines(scorer, example | {"as_of": "2026-01-01"}, 2))
    seal(log)
    sealed = [rows for _, rows in find(log, "customer_id", [example["customer_id"]])]
    assert [rows.height for rows in sealed] == [3]
    assert before.but(sealed) == []
    after = find_unsealed(log, "customer_id", example["customer_id"], None)
    assert [frame["request_id"].to_list() for _, frame in after.but(sealed)] == [["r0", "r1"]]
    box.close()


def test_an_unknown_id_is_said_with_how_many_are_not_sealed(
    log: Path, scorer: Scorer, example: dict[str, Any], credit: Credit
) -> None:
    box = outbox(log, scorer)
    box.append(some_lines(scorer, example, 3))
    assert "not sealed yet are in no chain" in credit("log", "verify", log).stdout
    done = credit("log", "find", log, "--application-id", "A")  # the ids that are there begin with it
    assert done.returncode == 1
    assert "0 receipts are there, and 3 that a REST door has not sealed yet. Check the id." in done.stderr
    box.close()


def test_personal_data_is_found_with_its_key_alone_and_shown_as_it_will_be_stored(
    log: Path, scorer: Scorer, example: dict[str, Any], credit: Credit, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(KEY)
    box = outbox(log, scorer, 'pii = ["customer_id"]\n')
    box.append(some_lines(scorer, example, 2))
    asked = ("log", "find", log, "--customer-id", example["customer_id"], "--json")
    assert (done := credit(*asked)).returncode == 2
    assert "--pii-key" in done.stderr
    done = credit(*asked, "--pii-key", tmp_path / "key")
    assert len(json.loads(done.stdout)) == 2
    assert example["customer_id"] not in done.stdout
    box.close()


def test_an_outbox_that_cannot_be_read_is_named_and_the_others_are_searched(
    log: Path, scorer: Scorer, example: dict[str, Any], credit: Credit
) -> None:
    first, second = outbox(log, scorer), outbox(log, scorer)
    first.append(some_lines(scorer, example, 1))
    second.append(some_lines(scorer, example, 2))
    second.close()
    for path in second.folder.glob("*.sqlite*"):
        path.write_bytes(b"torn" * 1000)
    done = credit("log", "find", log, "--application-id", "A0", "--json")
    assert (done.returncode, len(json.loads(done.stdout))) == (0, 1)
    assert f"receipts that are not sealed yet could not be read: {second.folder}" in done.stderr
    first.close()

"""One id followed through the product: from publish or request through decision and receipt to `credit log find`."""

import json
from pathlib import Path

import pytest

from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.kafka_broker import read_topic
from tests.rest_door import FRAMEWORKS, running
from tests.stage import Stage

OLD = PROJECT / "tests/formats/2"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ORIGIN = "https://desk.example.com"


@pytest.fixture(scope="module")
def committed() -> Path:
    """A bundle that is committed, so that nothing is trained here."""
    (bundle,) = (OLD / "bundles").iterdir()
    return bundle


def test_one_id_goes_from_publish_through_decision_and_receipt_to_log_find(
    stage: Stage, committed: Path, credit: Credit, tmp_path: Path
) -> None:
    receipts, log = f"receipts-{stage.name}", tmp_path / "log"
    stage.server.create(receipts, largest_message=2_000_000)
    source, output, dead = stage.topics
    tables = ("--applications", OLD / "applications.csv", "--events", OLD / "events.csv", "--bundle", committed)
    sent = ("--brokers", stage.address, "--topic", source, "--header", "Correlation-Id=run-42", "--header", "other=x")
    steps = (
        ("stream", "publish", *tables, *sent),
        ("stream", "run", "--bundle", committed, "--brokers", stage.address, "--input", source, "--output", output,
         "--dead-letters", dead, "--receipts", receipts, "--group", stage.name, "--stop-when-idle", 1,
         "--max-reject-share", 1),
        ("log", "consume", "--log", log, "--bundles", OLD / "bundles", "--topic", receipts,
         "--brokers", stage.address, "--stop-when-idle", 1),
    )  # fmt: skip
    for step in steps:
        done = credit(*step)
        assert done.returncode == 0, done.stderr
    decisions, letters = read_topic(stage.address, output), read_topic(stage.address, dead)
    assert {r.headers["Correlation-Id"] for r in (*decisions, *letters)} == {b"run-42"}
    assert not any("other" in r.headers for r in decisions)
    assert all(r.headers["other"] == b"x" for r in letters), "a dead letter has all headers"
    done = credit("log", "find", log, "--header", "correlation-id=run-42", "--json")
    found = json.loads(done.stdout)
    ids = {json.loads(r.value or b"")["decision_id"] for r in decisions}
    assert {record["decision"]["decision_id"] for record in found} == ids
    assert len(ids) > 100
    assert credit("log", "find", log, "--header", "correlation-id=run-43").returncode == 1
    assert credit("replay", log, "--bundles", OLD / "bundles").returncode == 0


@pytest.mark.process
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_header_of_a_request_is_in_its_response_and_its_receipt(
    framework: str, committed: Path, credit: Credit, tmp_path: Path
) -> None:
    good = json.dumps(example_application(Scorer.open(committed).bundle.spec)).encode()
    log = tmp_path / "log"
    with running(committed, tmp_path / "door", framework, "--log", log, cors_origins=ORIGIN) as door:
        answer = door.score(good, traceparent=TRACE, correlation_id="call-7", origin=ORIGIN)
        assert (answer.status, answer.headers["traceparent"], answer.headers["correlation-id"]) == (
            200,
            TRACE,
            "call-7",
        )
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        refused = door.score(b"{", correlation_id="call-8", origin="https://evil.example.com")
        assert (refused.status, refused.headers["correlation-id"]) == (400, "call-8")
        assert "access-control-allow-origin" not in refused.headers
        batch = door.score(b"[" + good + b"]", "/v1/score/batch", correlation_id="call-9")
        assert batch.headers["correlation-id"] == "call-9"
        asked = {"origin": ORIGIN, "access_control_request_method": "POST"}
        preflight = door.ask("OPTIONS", "/v1/score", None, **asked)
        assert (preflight.status, preflight.headers["access-control-allow-methods"]) == (200, "POST")
        assert door.ask("OPTIONS", "/v1/score", None, **{**asked, "origin": "https://evil.example.com"}).status == 405
        waiting = credit("log", "find", log, "--header", "correlation-id=call-7", "--json")
        assert json.loads(waiting.stdout)[0]["segment"] is None
    for call in ("call-7", "call-9"):
        done = credit("log", "find", log, "--header", f"correlation-id={call}", "--json")
        (record,) = json.loads(done.stdout)
        assert record["origin"]["headers"]["correlation-id"] == call

"""Door 3's receipts: durable before the answer goes out, sealed exactly once, and no decision without its receipt."""

import itertools
import json
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.receipt_parts import encoded, rest_receipts
from tests.rest_door import FRAMEWORKS, running
from tests.sizes import size
from tests.waiting import wait_until

pytestmark = pytest.mark.process
ROUNDS = size(gate=2, whole=8)  # of the applications of the data set, some 1,400


@pytest.fixture(scope="module")
def example(scorer: Scorer) -> dict[str, Any]:
    return example_application(scorer.bundle.spec)


def outbox_files(log: Path) -> list[Path]:
    return [path for path in (log / "outbox").rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_decision_leaves_its_receipt_and_a_refusal_none(
    framework: str, bundle: Path, example: dict[str, Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(bundle, tmp_path / "door", framework, "--log", log, "--workers", 2) as door:
        assert door.workers_ready(2)
        one = door.score(encoded(example), X_Request_ID="one")
        assert door.score(encoded(example, as_of="never"), X_Request_ID="refused").status == 422
        several = [example | {"application_id": "A1"}, {}, example | {"application_id": "A3"}]
        batch = door.score(json.dumps(several).encode(), "/v1/score/batch", X_Request_ID="batch").json
        metrics = door.ask("GET", "/metrics").body.decode()
    assert "credit_rest_receipts_total 3.0" in metrics
    found = rest_receipts(log).sort("request_id", "row")
    assert found.select("request_id", "row", "door").rows() == [
        ("batch", 1, "rest"),
        ("batch", 3, "rest"),
        ("one", 1, "rest"),
    ]
    answered = [batch[0]["decision"]["decision_id"], batch[2]["decision"]["decision_id"], one.json["decision_id"]]
    assert found["decision_id"].to_list() == answered
    assert not outbox_files(log), "a stop seals what is there"
    sealed = [line for line in door.lines() if line["event"] == "sealed"]
    assert sum(line["rows"] for line in sealed) == 3
    assert all(len(line["hash"]) == 64 for line in sealed), "heads are said, to be kept elsewhere"


def test_receipts_are_sealed_while_the_door_serves_also_after_the_sealer_was_killed(
    bundle: Path, example: dict[str, Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(bundle, tmp_path / "door", "fastapi", "--log", log, seal_seconds=1) as door:

        def sealed(count: int) -> bool:
            said = door.ask("GET", "/metrics").body.decode()
            return (
                f"credit_rest_receipts_sealed_total {count}.0" in said and "credit_rest_receipts_unsealed 0.0" in said
            )

        door.score(encoded(example), X_Request_ID="one")
        assert wait_until(lambda: sealed(1))
        assert rest_receipts(log)["request_id"].to_list() == ["one"]
        (sealer,) = door.processes()  # beside the door itself, which has one worker
        sealer.kill()
        door.score(encoded(example), X_Request_ID="two")
        assert wait_until(lambda: sealed(2))


def test_a_folder_of_other_things_is_no_log(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/letter.txt").touch()
    command = [sys.executable, "-m", "cli.main", "serve", "--bundle", bundle, "--no-auth", "--port", "0", "--log"]
    done = subprocess.run(
        [*map(str, command), str(tmp_path / "letters")], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "is no decision log" in done.stderr) == (2, True), done.stderr


def test_a_full_disk_refuses_and_acknowledges_nothing_and_the_door_comes_back(
    bundle: Path, example: dict[str, Any], tmp_path: Path
) -> None:
    """The limit on the size of files stands for the disk: it can be set and lifted while the door runs."""
    log, acknowledged, said = tmp_path / "log", [], Counter[tuple[int, str]]()
    with running(bundle, tmp_path / "door", "fastapi", "--log", log, rate_limit=0) as door:
        worker, numbers = door.process.pid, itertools.count()
        soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)

        def ask(times: int = 1) -> None:
            for number in itertools.islice(numbers, times):
                answer = door.score(encoded(example, application_id=f"A{number}"), X_Request_ID=f"r{number}")
                said[answer.status, answer.json.get("code", "")] += 1
                acknowledged.extend([f"r{number}"] if answer.status == 200 else [])

        def unwritable() -> bool:
            return "credit_rest_receipts_unwritable 1.0" in door.ask("GET", "/metrics").body.decode()

        ask()
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (100_000, hard))
        while not said[503, "receipts_unwritable"]:
            ask()
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (20_000, hard))  # no room for a new outbox either
        while not unwritable():
            ask()  # it may have begun one before there was no room
        before = said[503, "receipts_unwritable"]
        ask(150)  # more than fits into the file of the door's own log, which is on the full disk too
        assert set(said) == {(200, ""), (503, "receipts_unwritable")}
        assert said[503, "receipts_unwritable"] == before + 150
        assert door.ask("GET", "/readyz").json["code"] == "receipts_unwritable"
        assert door.ask("GET", "/healthz").status == 200
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))
        assert wait_until(lambda: door.ask("GET", "/readyz").status == 200)
        ask()
        assert acknowledged[-1] == f"r{next(numbers) - 1}"
        counted = door.metrics()
        assert sum(v for n, v in counted.items() if n.startswith("credit_rest_decisions_total{")) == len(acknowledged)

        def counts_once() -> bool:
            of = ("receipts_sealed_total", "receipts_unsealed", "receipts_total")
            sealed, unsealed, written = (door.metrics()[f"credit_rest_{name}"] for name in of)
            return sealed + unsealed == written >= len(acknowledged)

        assert wait_until(counts_once, 30), "each once, however often no outbox could be begun"
    found = rest_receipts(log)["request_id"].to_list()
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    lines = door.log.read_text().splitlines()
    assert any('"event":"receipts_written_again"' in line for line in lines)
    assert any('"event":"log_failed"' in line and json.loads(line)["lines"] > 1 for line in lines), (
        "on lines of its own"
    )


def test_thousands_of_decisions_replay_to_the_bit(
    scorer: Scorer, dataset: Dataset, credit: Credit, tmp_path: Path
) -> None:
    log, bundle = tmp_path / "log", scorer.bundle.path
    bodies = [m.body for m in to_messages(dataset.applications, dataset.events, scorer.bundle.spec)]
    answered = 0
    with running(bundle, tmp_path / "door", "fastapi", "--log", log) as door:
        for start in range(0, ROUNDS * len(bodies), 1000):
            batch = [bodies[i % len(bodies)] for i in range(start, start + 1000)]
            answer = door.score(b"[" + b",".join(batch) + b"]", "/v1/score/batch")
            answered += sum("decision" in one for one in answer.json)
    assert answered > 1_250 * ROUNDS
    done = credit("replay", log, "--bundles", bundle.parent, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["different"]) == (0, 0), done.stdout[:2000]
    assert said["from_applications"] == said["receipts"] == answered
    assert credit("log", "verify", log).returncode == 0

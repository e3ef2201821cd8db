"""Door 3's receipts: durable before the answer goes out, sealed exactly once, and no decision without its receipt."""

import itertools
import json
import resource
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.errors import CreditError, DeliveryError
from receipts.files import locked
from receipts.lines import line_head, receipt_line
from receipts.outbox import Maker, Outbox, files_of
from receipts.read import frames
from receipts.sealer import seal_outboxes
from recipes.dataset import Dataset
from scoring.messages import MessageScorer
from scoring.publish import to_messages
from scoring.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.rest_door import FRAMEWORKS, running
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def example(scorer: Scorer) -> dict[str, Any]:
    return example_application(scorer.bundle.spec)


def encoded(example: dict[str, Any], **changes: object) -> bytes:
    return json.dumps(example | changes).encode()


def receipts(log: Path) -> pl.DataFrame:
    columns = ["request_id", "row", "door", "decision_id", "application_id", "decided_at", "credit_class"]
    return pl.concat(frames(log, columns=columns))


def outbox_files(log: Path) -> list[Path]:
    return [path for path in (log / "outbox").rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_decision_leaves_its_receipt_and_a_refusal_none(
    framework: str, bundle: Path, example: dict[str, Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(bundle, tmp_path / "door", framework, "--log", log, "--workers", 2) as door:
        one = door.score(encoded(example), X_Request_ID="one")
        assert door.score(encoded(example, as_of="never"), X_Request_ID="refused").status == 422
        several = [example | {"application_id": "A1"}, {}, example | {"application_id": "A3"}]
        batch = door.score(json.dumps(several).encode(), "/v1/score/batch", X_Request_ID="batch").json
        metrics = door.ask("GET", "/metrics").body.decode()
    assert "credit_rest_receipts_total 3.0" in metrics
    found = receipts(log).sort("request_id", "row")
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
        door.score(encoded(example), X_Request_ID="one")
        assert wait_until(lambda: "credit_rest_receipts_sealed_total 1.0" in door.ask("GET", "/metrics").body.decode())
        assert "credit_rest_receipts_unsealed 0.0" in door.ask("GET", "/metrics").body.decode()
        assert receipts(log)["request_id"].to_list() == ["one"]
        (sealer,) = door.processes()  # beside the door itself, which has one worker
        sealer.kill()
        door.score(encoded(example), X_Request_ID="two")
        assert wait_until(lambda: "credit_rest_receipts_sealed_total 2.0" in door.ask("GET", "/metrics").body.decode())


def test_a_folder_of_other_things_is_no_log(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/letter.txt").touch()
    command = [sys.executable, "-m", "cli.main", "serve", "--bundle", bundle, "--no-auth", "--port", "0", "--log"]
    done = subprocess.run(
        [*map(str, command), str(tmp_path / "letters")], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "is no decision log" in done.stderr) == (2, True), done.stderr


@pytest.fixture
def made_by(scorer: Scorer) -> Maker:
    return Maker(scorer.bundle.bundle_id, scorer.bundle.spec.text)


def some_lines(scorer: Scorer, example: dict[str, Any], count: int) -> list[bytes]:
    messages = [encoded(example, application_id=f"A{i}") for i in range(count)]
    head = line_head("rest", 1.8e9)
    answers = MessageScorer(scorer).answer(messages)
    sources = [f'{{"request_id":"r{i}"}}'.encode() for i in range(count)]
    return [receipt_line(head, s, m, a) for s, m, a in zip(sources, messages, answers, strict=True)]


def sealed(log: Path, key: bytes | None = None) -> list[tuple[str, CreditError]]:
    """What could not be sealed."""
    troubles: list[tuple[str, CreditError]] = []
    seal_outboxes(log, key, lambda _head: None, lambda writer, error: troubles.append((writer, error)))
    return troubles


def test_a_sealer_killed_at_any_step_seals_each_receipt_once(
    scorer: Scorer, made_by: Maker, example: dict[str, Any], tmp_path: Path
) -> None:
    log, lines = tmp_path / "log", some_lines(scorer, example, 7)
    outbox = Outbox(log / "outbox", made_by, durable=True)
    outbox.append(lines[:3])
    outbox.append(lines[3:4])
    outbox.begin()
    outbox.append(lines[4:])
    outbox.close()
    process = subprocess.run(
        [sys.executable, "-m", "tests.killed_sealer", str(log)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    steps = [line.split() for line in process.stdout.splitlines()]
    assert steps[-1] == ["end", "0", "0", "4,3", "0"], process.stdout[-300:]
    assert {tuple(step[1:]) for step in steps[:-1]} == {("9", "0", "4,3", "0")}
    assert {step[0] for step in steps[:-1]} >= {"open", "fsync", "os.rename", "os.remove"}
    assert len(steps) > 20


def test_a_file_that_is_still_written_to_is_left_alone(
    scorer: Scorer, made_by: Maker, example: dict[str, Any], tmp_path: Path
) -> None:
    log, lines = tmp_path / "log", some_lines(scorer, example, 3)
    outbox = Outbox(log / "outbox", made_by, durable=True)
    outbox.append(lines[:1])
    assert not sealed(log)
    outbox.append(lines[1:2])
    outbox.begin()
    outbox.append(lines[2:])
    assert not sealed(log)
    assert receipts(log)["request_id"].to_list() == ["r0", "r1"]
    outbox.close()
    assert not sealed(log)
    assert receipts(log)["request_id"].to_list() == ["r0", "r1", "r2"]


def test_a_damaged_outbox_is_reported_and_nothing_of_it_is_lost_or_half_read(
    scorer: Scorer, made_by: Maker, example: dict[str, Any], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    outbox = Outbox(log / "outbox", made_by, durable=True)
    outbox.append([*some_lines(scorer, example, 2), b'{"receipt_version":1'])
    outbox.close()
    ((writer, error),) = sealed(log)
    assert (writer, "receipt_not_json" in str(error)) == (outbox.folder.name, True)
    assert not list(frames(log))
    assert files_of(outbox.folder) == [outbox.path]


def test_personal_data_is_sealed_keyed_and_not_at_all_without_the_key(
    scorer: Scorer, example: dict[str, Any], tmp_path: Path
) -> None:
    log, bundle = tmp_path / "log", scorer.bundle
    outbox = Outbox(log / "outbox", Maker(bundle.bundle_id, f'pii = ["customer_id"]\n{bundle.spec.text}'), durable=True)
    outbox.append(some_lines(scorer, example, 2))
    outbox.close()
    ((_, error),) = sealed(log)
    assert "--pii-key" in str(error)
    assert not list(frames(log))
    assert not sealed(log, b"k" * 32)
    (found,) = frames(log)
    assert found["customer_id"].str.starts_with("keyed:").all()
    assert not found["application"].str.contains(example["customer_id"]).any()
    assert list((log / "outbox").rglob("*.sqlite*")) == []


def test_two_workers_never_share_an_outbox_and_a_dead_ones_is_taken_over(made_by: Maker, tmp_path: Path) -> None:
    first, second = (Outbox(tmp_path, made_by, durable=True) for _ in range(2))
    assert first.folder != second.folder
    with pytest.raises(DeliveryError), locked(first.folder / ".lock", "a worker"):
        pass
    first.close()
    assert Outbox(tmp_path, made_by, durable=True).folder == first.folder


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_durable_waits_for_the_disk_and_relaxed_does_not(
    made_by: Maker, tmp_path: Path, synchronous: int, *, durable: bool
) -> None:
    """https://www.sqlite.org/pragma.html#pragma_synchronous: 2 FULL, in WAL mode a flush per commit; 1 NORMAL, none."""
    outbox = Outbox(tmp_path, made_by, durable=durable)
    connection: sqlite3.Connection = outbox._connection  # type: ignore[assignment]
    assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    outbox.close()


def test_a_full_disk_refuses_and_acknowledges_nothing_and_the_door_comes_back(
    bundle: Path, example: dict[str, Any], tmp_path: Path
) -> None:
    """The limit on the size of files stands for the disk: it can be set and lifted while the door runs."""
    log, acknowledged, said = tmp_path / "log", [], Counter[tuple[int, str]]()
    with running(bundle, tmp_path / "door", "fastapi", "--log", log, rate_limit=0) as door:
        worker = door.process.pid
        soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)

        def ask(number: int) -> None:
            answer = door.score(encoded(example, application_id=f"A{number}"), X_Request_ID=f"r{number}")
            said[answer.status, answer.json.get("code", "")] += 1
            acknowledged.extend([f"r{number}"] if answer.status == 200 else [])

        ask(0)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (100_000, hard))
        numbers = itertools.count(1)
        while not said[503, "receipts_unwritable"]:
            ask(next(numbers))
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (20_000, hard))  # no room for a new outbox either
        assert wait_until(lambda: "credit_rest_receipts_unwritable 1.0" in door.ask("GET", "/metrics").body.decode())
        for _ in range(5):
            ask(next(numbers))
        assert set(said) == {(200, ""), (503, "receipts_unwritable")}
        assert said[503, "receipts_unwritable"] == 6
        assert door.ask("GET", "/readyz").json["code"] == "receipts_unwritable"
        assert door.ask("GET", "/healthz").status == 200
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))
        assert wait_until(lambda: door.ask("GET", "/readyz").status == 200)
        ask(99)
        assert acknowledged[-1] == "r99"
    found = receipts(log)["request_id"].to_list()
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    assert [line["event"] for line in door.lines() if "written_again" in line["event"]] == ["receipts_written_again"]


def test_ten_thousand_decisions_replay_to_the_bit(
    scorer: Scorer, dataset: Dataset, credit: Credit, tmp_path: Path
) -> None:
    log, bundle = tmp_path / "log", scorer.bundle.path
    bodies = [m.body for m in to_messages(dataset.applications, dataset.events, scorer.bundle.spec)]
    answered = 0
    with running(bundle, tmp_path / "door", "fastapi", "--log", log, deadline_seconds=60) as door:
        for start in range(0, 8 * len(bodies), 1000):
            batch = [bodies[i % len(bodies)] for i in range(start, start + 1000)]
            answer = door.score(b"[" + b",".join(batch) + b"]", "/v1/score/batch")
            answered += sum("decision" in one for one in answer.json)
    assert answered > 10_000
    done = credit("replay", log, "--bundles", bundle.parent, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["different"]) == (0, 0), done.stdout[:2000]
    assert said["from_applications"] == said["receipts"] == answered
    assert credit("log", "verify", log).returncode == 0

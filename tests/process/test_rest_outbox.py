"""The outbox of a REST worker and its sealer: each receipt sealed once, whoever is killed, and never half of one."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from features.errors import CreditError, DeliveryError
from receipts.log.read import frames
from receipts.outbox.outbox import Outbox
from receipts.outbox.outbox_files import Maker, files_of
from receipts.outbox.sealer import seal_outboxes
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from serving.sealing import sealing
from storage.locks import Lock
from tests.conftest import PROJECT
from tests.receipt_parts import rest_receipts, some_lines
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def example(scorer: Scorer) -> dict[str, Any]:
    return example_application(scorer.bundle.spec)


@pytest.fixture
def made_by(scorer: Scorer) -> Maker:
    return Maker(scorer.bundle.bundle_id, scorer.bundle.spec.text)


def sealed(log: Path, key: bytes | None = None) -> list[tuple[str, CreditError]]:
    """What could not be sealed."""
    troubles: list[tuple[str, CreditError]] = []
    seal_outboxes(log, key, lambda _head: None, lambda writer, error: troubles.append((writer, error)))
    return troubles


@pytest.mark.process
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
    assert rest_receipts(log)["request_id"].to_list() == ["r0", "r1"]
    outbox.close()
    assert not sealed(log)
    assert rest_receipts(log)["request_id"].to_list() == ["r0", "r1", "r2"]


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
    with pytest.raises(DeliveryError), Lock(first.folder / ".lock"):
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


def test_a_sealer_that_is_left_no_core_is_replaced(
    scorer: Scorer, made_by: Maker, example: dict[str, Any], tmp_path: Path
) -> None:
    """It is stopped as it starts, and there is a complete file that is an hour old."""
    log, lines = tmp_path / "log", some_lines(scorer, example, 2)
    outbox = Outbox(log / "outbox", made_by, durable=True)
    outbox.append(lines[:1])
    first = outbox.path
    outbox.begin()
    hour_ago = time.time() - 3600
    os.utime(first.with_name(f"{first.name}-wal"), (hour_ago, hour_ago))
    with sealing(log, None):
        for child in psutil.Process().children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.suspend()
        assert wait_until(lambda: not first.exists())
    assert rest_receipts(log)["request_id"].to_list() == ["r0"]
    outbox.close()

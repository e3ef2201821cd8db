"""Expiry and erasure: receipts go, tombstones stay, the chain verifies, and a kill at any step can be repaired."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from receipts.log.audit import audit
from receipts.log.read import frames, segments
from receipts.log.removal import erase, expire
from recipes.dataset import Dataset
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.receipt_parts import NOON, some_receipts, write_log

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def log(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> Path:
    """39 receipts, a second apart, ten in a segment."""
    receipts = some_receipts(scorer, dataset, full=True)
    write_log(tmp_path / "log", [receipts[i : i + 10] for i in range(0, 39, 10)])
    return tmp_path / "log"


def read(log: Path) -> pl.DataFrame:
    return pl.concat(list(frames(log)))


def killed(action: str, template: Path, work: Path, argument: object) -> list[list[dict[str, Any]]]:
    """What was found after a kill at each step, and after running again; the last had no kill."""
    command = [sys.executable, "-m", "tests.killed_log", action, template, work, argument]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        list(map(str, command)), cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in map(json.loads, done.stdout.splitlines()) if isinstance(line, dict)]
    assert said[-1]["step"] > 0, "the last run was not killed"
    return [[line for line in said if line["step"] in (at, -at)] for at in range(1, said[-1]["step"] + 1)]


def test_expiry_is_to_the_receipt(log: Path) -> None:
    before = read(log)
    removed = expire(log, NOON + timedelta(seconds=15), NOW)
    assert (removed.receipts, removed.segments) == (15, 2)
    assert read(log).equals(before[15:], null_equal=True)
    assert [(s.rows, s.manifest.removals) for s in segments(log)][:2] == [
        (0, ({"at": NOW.isoformat(), "why": "expired", "rows": 10},)),
        (5, ({"at": NOW.isoformat(), "why": "expired", "rows": 5},)),
    ]
    assert not audit(log).problems
    assert not list((log / "writers/batch-1/00000001").glob("*.parquet"))
    assert expire(log, NOON + timedelta(seconds=15), NOW).receipts == 0


def test_erasure_takes_one_customer_and_leaves_no_trace(log: Path) -> None:
    before, heads = read(log), [segment.hash for segment in segments(log)]
    customer = before["customer_id"][12]
    assert erase(log, [customer], NOW).receipts == before.filter(customer_id=customer).height
    assert read(log).equals(before.filter(pl.col("customer_id") != customer), null_equal=True)
    assert not [path for path in log.rglob("*") if path.is_file() and customer.encode() in path.read_bytes()]
    assert (audit(log, heads).problems, [segment.hash for segment in segments(log)]) == ([], heads)


def test_removals_add_up(log: Path) -> None:
    before = read(log)
    gone = before["customer_id"][[3, 5, 14]].to_list()
    for customer in gone:
        erase(log, [customer], NOW)
    expire(log, NOON + timedelta(seconds=5), NOW)
    kept = before.filter(~pl.col("customer_id").is_in(gone) & (pl.col("decided_at") >= NOON + timedelta(seconds=5)))
    assert read(log).equals(kept, null_equal=True)
    assert not audit(log).problems


def test_a_row_that_was_changed_beside_a_removed_one_is_found(log: Path, scorer: Scorer) -> None:
    assert scorer
    erase(log, [read(log)["customer_id"][3]], NOW)
    path = log / "writers/batch-1/00000001/removed.1.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (problem,) = audit(log).problems
    assert f"{path}: changed since it was sealed" in problem


def test_the_commands_say_what_went(log: Path, credit: Credit) -> None:
    customer = read(log)["customer_id"][0]
    said = credit("log", "erase", log, "--customer-id", customer)
    assert (said.returncode, customer in said.stdout + said.stderr) == (0, False)
    assert "receipts removed from" in said.stdout
    assert json.loads(credit("log", "erase", log, "--customer-id", customer, "--json").stdout)["receipts"] == 0
    assert "0 receipts removed" in credit("log", "expire", log, "--before", "2020-01-01").stdout
    assert credit("log", "expire", log, "--before", "soon").returncode == 2
    found = credit("log", "find", log, "--customer-id", customer)
    assert (found.returncode, "have expired or were erased" in found.stderr) == (1, True)
    assert credit("log", "verify", log).returncode == 0


@pytest.mark.process
@pytest.mark.parametrize("action", ["erase", "expire"])
def test_killed_at_every_step_a_removal_is_done_or_can_be_repeated(
    log: Path, tmp_path_factory: pytest.TempPathFactory, action: str
) -> None:
    receipts = read(log)
    customer = receipts["customer_id"][12]
    goes = receipts.filter(
        pl.col("customer_id") == customer if action == "erase" else pl.col("decided_at") < NOON + timedelta(seconds=13)
    ).height
    argument = customer if action == "erase" else (NOON + timedelta(seconds=13)).isoformat()
    steps = killed(action, log.parent, tmp_path_factory.mktemp("kills"), argument)
    assert len(steps) > 10
    for after_kill, *again in steps:
        assert all("Left by a removal that was interrupted" in problem for problem in after_kill["problems"])
        assert receipts.height - goes <= after_kill["receipts"] <= receipts.height
        for found in again:
            assert (found["problems"], found["receipts"]) == ([], receipts.height - goes)
    assert steps[-1][0]["receipts"] == receipts.height - goes

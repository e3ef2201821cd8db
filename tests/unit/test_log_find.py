"""`credit log find`: the receipt of an application, a customer or a decision, with all that was decided on."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.log.find import find
from receipts.log.index import COLUMNS, candidates, make_index
from receipts.log.removal import expire
from recipes.dataset import Dataset
from scoring.decisions import decision_lines, decision_schema
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import NOON, some_receipts, write_log


@pytest.fixture
def receipts(scorer: Scorer, dataset: Dataset) -> pl.DataFrame:
    return some_receipts(scorer, dataset, 60, full=True)


@pytest.fixture
def log(receipts: pl.DataFrame, tmp_path: Path) -> Path:
    write_log(tmp_path / "log", [receipts[i : i + 7] for i in range(0, receipts.height, 7)])
    return tmp_path / "log"


@pytest.mark.parametrize("column", COLUMNS)
def test_every_receipt_is_found_by_each_of_its_ids(log: Path, receipts: pl.DataFrame, column: str) -> None:
    for value in receipts[column].unique():
        found = pl.concat([rows for _, rows in find(log, column, [value])])
        assert found.equals(receipts.filter(pl.col(column) == value), null_equal=True)


def test_the_receipt_is_shown_as_the_door_decided_it(
    log: Path, receipts: pl.DataFrame, credit: Credit, scorer: Scorer
) -> None:
    one = receipts[23]
    done = credit("log", "find", log, "--application-id", one["application_id"][0], "--json")
    (record,) = json.loads(done.stdout)
    (line,) = decision_lines(one.select(decision_schema(scorer.bundle.spec).names()))
    assert record["decision"] == json.loads(line)
    assert list(record["decision"]) == list(json.loads(line)), "in the order of the door"
    assert record["application"] == json.loads(one["application"][0])
    assert record["origin"] == {
        "decided_at": "2026-11-24T12:00:23+00:00",
        "door": "batch",
        "input_sha256": "ab" * 32,
        "row": 24,
    }
    assert record["segment"]["number"] == 4
    assert len(record["features"]) == 58
    text = credit("log", "find", log, "--decision-id", one["decision_id"][0]).stdout
    for shown in (one["application_id"][0], one["bundle_id"][0], one["credit_class"][0], "feature", "batch-1 4"):
        assert shown in text


def test_unknown_ids_and_wrong_usage_are_said(log: Path, credit: Credit, receipts: pl.DataFrame) -> None:
    done = credit("log", "find", log, "--application-id", "A-nobody")
    assert done.returncode == 1
    assert f"holds no receipt with this application_id. {receipts.height} receipts are there" in done.stderr
    assert "A-nobody" not in done.stderr
    assert credit("log", "find", log).returncode == 2
    assert credit("log", "find", log, "--customer-id", "C", "--decision-id", "D").returncode == 2


def test_a_decision_with_two_receipts_is_said_to_have_them(log: Path, receipts: pl.DataFrame, credit: Credit) -> None:
    write_log(log, [receipts.head(1)], "batch-2")
    done = credit("log", "find", log, "--application-id", receipts["application_id"][0])
    assert "2 receipts of one decision: a run was repeated, or a message came again." in done.stdout


def test_a_changed_segment_is_not_shown(log: Path, receipts: pl.DataFrame, credit: Credit) -> None:
    path = log / "writers/batch-1/00000001/receipts.0.parquet"
    path.write_bytes(path.read_bytes()[::-1])
    done = credit("log", "find", log, "--application-id", receipts["application_id"][0])
    assert (done.returncode, f"{path}: changed since it was sealed" in done.stderr) == (1, True)
    assert credit("log", "find", log, "--application-id", receipts["application_id"][30]).returncode == 0


@pytest.mark.parametrize("left", [0, 1 / 3])
def test_an_index_that_was_cut_hides_no_receipt(log: Path, receipts: pl.DataFrame, credit: Credit, left: float) -> None:
    path = log / "writers/batch-1/00000001/index.0.bin"
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    for at in (0, 30):
        done = credit("log", "find", log, "--application-id", receipts["application_id"][at])
        assert (done.returncode, f"{path}: changed since it was sealed" in done.stderr) == (1, True)


def test_a_damaged_index_is_not_taken_for_no_receipt(log: Path, receipts: pl.DataFrame, credit: Credit) -> None:
    path = log / "writers/batch-1/00000001/index.0.bin"
    path.write_bytes(bytes(path.stat().st_size))
    done = credit("log", "find", log, "--application-id", receipts["application_id"][0])
    assert (done.returncode, f"{path}: changed since it was sealed" in done.stderr) == (1, True)


@pytest.mark.slow
def test_receipts_are_found_while_others_expire(log: Path, receipts: pl.DataFrame) -> None:
    last = receipts["application_id"][-1]

    def expire_one_by_one() -> None:
        for time in receipts["decided_at"][:-1]:
            expire(log, time + timedelta(seconds=1), NOON)

    with ThreadPoolExecutor(1) as pool:
        expiring = pool.submit(expire_one_by_one)
        while not expiring.done():
            assert [rows.height for _, rows in find(log, "application_id", [last])] == [1]
        expiring.result()


IDS = st.lists(st.text(max_size=4), min_size=1, max_size=30)


@given(ids=IDS, asked=st.text(max_size=4))
def test_the_index_gives_every_place_of_an_id(
    ids: list[str], asked: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "index.bin"
    path.write_bytes(make_index(pl.DataFrame(dict.fromkeys(COLUMNS, ids))))
    for column in COLUMNS:
        for value in {*ids, asked}:
            places = {place for place, found in enumerate(ids) if found == value}
            assert places <= set(candidates(path, column, value))
            assert len(candidates(path, column, value)) == len(places), "CRC-32 of such short texts never collide here"

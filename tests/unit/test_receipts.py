"""The chain of segments: what is sealed comes back, bit for bit, and one process writes."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from features.errors import DeliveryError, InputError, SettingsError
from receipts.frame import receipt_schema
from receipts.log.chain import Chain
from receipts.log.read import frames, segments
from recipes.dataset import Dataset
from scoring.scorer import Scorer
from tests.receipt_parts import NOON, some_receipts


def test_receipts_come_back_as_they_were_sealed(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> None:
    receipts = some_receipts(scorer, dataset)
    with Chain.open(tmp_path / "log", "batch-1") as chain:
        heads = [chain.seal(receipts.head(25), source={"from": 1}), chain.seal(receipts[25:])]
    (read,) = [pl.concat(list(frames(tmp_path / "log")))]
    assert read.equals(receipts, null_equal=True)
    assert receipts.schema == receipt_schema(scorer.bundle.spec)
    assert [(s.number, s.hash, s.rows) for s in segments(tmp_path / "log")] == [
        (h.number, h.hash, h.rows) for h in heads
    ]


def test_a_writer_goes_on_where_it_ended(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> None:
    receipts = some_receipts(scorer, dataset)
    with Chain.open(tmp_path / "log", "rest-1") as chain:
        assert chain.last_source is None
        first = chain.seal(receipts, source={"part": 1})
    with Chain.open(tmp_path / "log", "rest-1") as chain:
        assert (chain.head, chain.last_source) == (first, {"part": 1})
        assert chain.seal(receipts).number == 2


def test_one_process_writes_as_one_writer(tmp_path: Path) -> None:
    with Chain.open(tmp_path / "log", "rest-1"):
        with pytest.raises(DeliveryError, match="another process that writes as rest-1"):
            Chain.open(tmp_path / "log", "rest-1")
        Chain.open(tmp_path / "log", "rest-2").close()
    Chain.open(tmp_path / "log", "rest-1").close()


def test_receipts_are_chosen_by_time(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> None:
    with Chain.open(tmp_path / "log", "batch-1") as chain:
        chain.seal(some_receipts(scorer, dataset))
    since, until = NOON + timedelta(seconds=3), NOON + timedelta(seconds=7)
    (found,) = frames(tmp_path / "log", since=since, until=until, columns=["row"])
    assert found["row"].to_list() == [4, 5, 6, 7]


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "x" * 101])
def test_a_writer_is_named_as_objects_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="writer"):
        Chain.open(tmp_path / "log", name)


def test_a_folder_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match="is no decision log, and not empty"):
        Chain.open(tmp_path, "batch-1")
    with pytest.raises(SettingsError, match=r"notes\.txt: is no folder"):
        Chain.open(tmp_path / "notes.txt", "batch-1")
    with pytest.raises(InputError, match="is no decision log"):
        segments(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        segments(tmp_path / "nowhere")

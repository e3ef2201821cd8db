"""A log of several bundles, specs and writers; many decisions; a log that is read while it is written."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from batch.job import BatchJob, run_batch
from batch.receipts import LogSettings
from receipts.log.audit import audit
from receipts.log.chain import Chain
from receipts.log.find import find
from receipts.log.read import frames, segments
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import NOON, some_receipts, write_log
from tests.sizes import size

OTHER = "0f" * 32
NIGHT = size(gate=1_000, whole=5_200)  # customers, of two applications each
SEALED = size(gate=80, whole=400)  # segments, while the log is looked at


@pytest.fixture
def mixed(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> Path:
    """Receipts of a bundle, and of another whose spec lacks a feature."""
    receipts = some_receipts(scorer, dataset)
    other = receipts.drop("feature:months_employed").with_columns(bundle_id=pl.lit(OTHER))
    write_log(tmp_path / "log", [receipts, other.head(5)])
    return tmp_path / "log"


def test_receipts_of_different_specs_are_read_bundle_by_bundle(mixed: Path, bundle: Path) -> None:
    (own,) = frames(mixed, bundle_id=bundle.name)
    (other,) = frames(mixed, bundle_id=OTHER)
    assert (own.height, other.height, own.width - other.width) == (39, 5, 1)
    assert [frame.height for frame in frames(mixed, columns=["decision_id"])] == [39, 5]
    assert not audit(mixed).problems
    assert len(list(find(mixed, "application_id", [other["application_id"][0]]))) == 2


def test_replay_names_the_bundle_that_is_missing_among_several(mixed: Path, bundle: Path, credit: Credit) -> None:
    done = credit("replay", mixed, "--bundles", bundle.parent)
    assert (done.returncode, f"lacks the bundle {OTHER}, which made 5 of the decisions" in done.stderr) == (2, True)


def test_feature_rows_of_another_spec_are_counted_as_undecided(mixed: Path, bundle: Path, credit: Credit) -> None:
    (bundle.parent / OTHER).mkdir(exist_ok=True)  # it is not opened: what decides is the other one
    done = credit("replay", mixed, "--bundles", bundle.parent, "--against", bundle, "--json")
    (bundle.parent / OTHER).rmdir()
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["receipts"], shown["undecided"], shown["changed"]) == (0, 39, 5, 0)


@pytest.mark.parametrize("full", [False, True], ids=["feature row", "application"])
@pytest.mark.slow
def test_many_decisions_of_the_batch_are_replayed_to_the_bit(
    bundle: Path, tmp_path: Path, credit: Credit, *, full: bool
) -> None:
    night = synthetic(NIGHT, seed=11)
    night.applications.write_parquet(tmp_path / "applications.parquet")
    night.events.write_parquet(tmp_path / "events.parquet")
    job = BatchJob(
        applications=tmp_path / "applications.parquet",
        events=tmp_path / "events.parquet",
        out=tmp_path / "decisions.parquet",
        log=LogSettings(log=tmp_path / "log", clock=lambda: NOON, full=full),
    )
    run_batch(job, Scorer.open(bundle))
    report = json.loads(credit("replay", tmp_path / "log", "--bundles", bundle, "--json").stdout)
    assert report["receipts"] >= 1.9 * NIGHT
    assert (report["different"], report["from_applications"]) == (0, report["receipts"] if full else 0)


@pytest.mark.slow
def test_a_log_is_intact_whenever_it_is_looked_at(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> None:
    receipts = some_receipts(scorer, dataset, 6)
    write_log(tmp_path / "log", [receipts])
    ended = threading.Event()

    def write() -> None:
        with Chain.open(tmp_path / "log", "batch-1") as chain:
            while not ended.is_set() and chain.head.number < SEALED:
                chain.seal(receipts)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while writer.is_alive() and len(seen) < 25:
        found = audit(tmp_path / "log")
        assert not found.problems
        seen.append(found.segments)
    ended.set()
    writer.join()
    assert len(seen) > 2
    assert seen[-1] > seen[0], "the writer was at work"


def test_a_clock_that_runs_backwards_hides_nothing(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(log, [some_receipts(scorer, dataset, 5, NOON + timedelta(days=d)) for d in (0, 3, -2, 1)])
    found = pl.concat(list(frames(log, since=NOON + timedelta(days=1), until=NOON + timedelta(days=9))))
    assert found["decided_at"].dt.date().unique().len() == 2
    assert [segment.first_decided_at - NOON for segment in segments(log)] == [timedelta(days=d) for d in (0, 3, -2, 1)]


def test_a_receipt_has_one_row_for_each_segment_of_two_writers(
    scorer: Scorer, dataset: Dataset, tmp_path: Path, bundle: Path
) -> None:
    log, receipts = tmp_path / "log", some_receipts(scorer, dataset, 10)
    write_log(log, [receipts], "rest-a-1")
    write_log(log, [replace_door(receipts)], "stream-credit.receipts")
    assert {(s.writer, s.door, s.bundle_id) for s in segments(log)} == {
        ("rest-a-1", "batch", bundle.name),
        ("stream-credit.receipts", "stream", bundle.name),
    }
    with Chain.open(log, "rest-a-1") as chain, pytest.raises(ValueError, match="of one bundle, door and kind"):
        chain.seal(pl.concat([receipts, replace_door(receipts)]))
    assert not audit(log).problems


def replace_door(receipts: pl.DataFrame) -> pl.DataFrame:
    return receipts.with_columns(door=pl.lit("stream"))

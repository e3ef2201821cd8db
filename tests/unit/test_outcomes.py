"""`credit outcomes add`: true classes beside the log, added once, whole or not at all; what cannot be is refused."""

from pathlib import Path

import polars as pl
import pytest

from features.errors import DeliveryError, InputError
from receipts.outcomes import Rules, add_outcomes, read_labels, read_outcomes
from receipts.pii import keyed
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from storage.locks import Lock
from tests.monitored import score, write


@pytest.fixture(scope="module")
def night() -> Dataset:
    return synthetic(1200, seed=41)


@pytest.fixture
def log(scorer: Scorer, night: Dataset, tmp_path: Path) -> Path:
    return write(tmp_path / "log", scorer, score(scorer, night).frame.head(400))


def truth(log: Path, night: Dataset, rows: int = 100) -> pl.DataFrame:
    del log
    return night.labels.join(night.applications.head(rows), on="application_id", how="semi").filter(
        pl.int_range(pl.len()) < rows
    )


def test_outcomes_are_added_once_and_whole_or_not_at_all(log: Path, night: Dataset) -> None:
    labels, rules = read_labels(truth(log, night)), Rules(skip_unknown=True)
    first = add_outcomes(log, labels.head(60), rules=rules)
    again = add_outcomes(log, labels, rules=rules)
    assert again.new == again.total - first.total > 0
    assert add_outcomes(log, labels, rules=rules).new == 0
    before = read_outcomes(log)
    assert before["application_id"].is_unique().all()
    turned = labels.with_columns(credit_class=pl.col("credit_class").replace({"Good": "Poor", "Poor": "Good"}))
    with pytest.raises(InputError, match="another outcome in the log already"):
        add_outcomes(log, turned, rules=rules)
    (log / "outcomes/.00000009-abc.parquet.part").write_bytes(b"killed while writing")
    assert read_outcomes(log).equals(before)
    with Lock(log / "outcomes/.lock"), pytest.raises(DeliveryError):
        add_outcomes(log, labels, rules=rules)
    stored = next((log / "outcomes").glob("*.parquet"))
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="changed since it was written"):
        read_outcomes(log)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"application_id": pl.lit("nobody")}, "another row names too"),
        ({"application_id": "X" + pl.col("application_id")}, "is not in"),
        ({"credit_class": pl.lit("good")}, "does not know"),
        ({"credit_class": pl.lit(None, dtype=pl.String)}, "no credit_class"),
        ({"outcome_at": pl.lit("2026-01-04")}, "dated before its decision"),
        ({"outcome_at": pl.lit("soon")}, "no instant"),
        ({"decision_id": pl.lit("00")}, "are decisions"),
    ],
)
def test_outcomes_that_cannot_be_are_refused_and_nothing_is_added(
    log: Path, scorer: Scorer, night: Dataset, change: dict[str, pl.Expr], said: str
) -> None:
    usable = score(scorer, night).frame.head(400).select("application_id")
    labels = night.labels.join(usable, on="application_id", how="semi").head(50).with_columns(**change)
    with pytest.raises(InputError, match=said) as refused:
        add_outcomes(log, read_labels(labels))
    assert "A41-" not in str(refused.value), "no customer's value"
    assert read_outcomes(log).is_empty()


def test_hindsight_is_allowed_when_it_is_said(log: Path, scorer: Scorer, night: Dataset) -> None:
    usable = score(scorer, night).frame.head(400).select("application_id")
    labels = night.labels.join(usable, on="application_id", how="semi").with_columns(outcome_at=pl.lit("2026-01-04"))
    assert add_outcomes(log, read_labels(labels), rules=Rules(backfilled=True)).new == labels.height


def test_outcomes_of_ids_that_are_stored_keyed_are_found_with_the_key_and_stored_keyed(
    scorer: Scorer, night: Dataset, tmp_path: Path
) -> None:
    key, frame = b"k" * 32, score(scorer, night).frame.head(50)
    labels = read_labels(night.labels.join(frame, on="application_id", how="semi"))
    hidden = [keyed(key, "application_id", name) for name in frame["application_id"]]
    log = write(tmp_path / "log", scorer, frame.with_columns(pl.Series("application_id", hidden)))
    with pytest.raises(InputError, match="is not in"):
        add_outcomes(log, labels)
    assert add_outcomes(log, labels, key).new == labels.height == 50
    assert set(read_outcomes(log)["application_id"]) == set(hidden)


def test_dated_outcomes_of_rejected_applications_are_left_out_like_others(
    log: Path, scorer: Scorer, night: Dataset
) -> None:
    usable = score(scorer, night).frame.head(400).select("application_id")
    known = night.labels.join(usable, on="application_id", how="semi").head(50)
    labels = pl.concat([known, known.head(2).with_columns(application_id="X" + pl.col("application_id"))])
    added = add_outcomes(
        log, read_labels(labels.with_columns(outcome_at=pl.lit("2026-08-01"))), rules=Rules(skip_unknown=True)
    )
    assert (added.new, added.unknown) == (50, 2)
    with pytest.raises(InputError, match="none of their applications is in"):
        add_outcomes(log, read_labels(labels.tail(2)), rules=Rules(skip_unknown=True))

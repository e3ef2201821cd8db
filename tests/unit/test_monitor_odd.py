"""Odd windows and files: what cannot be judged is not called fit, and what cannot be used is refused in words."""

from pathlib import Path

import polars as pl
import pytest

from cli.monitor.monitor_files import Files, watch_files
from cli.monitor.monitor_log import watch_log
from features.errors import InputError
from monitoring.nightly.alarms import Light
from monitoring.nightly.finding import Kind
from monitoring.nightly.statement import State
from monitoring.page.content import headline
from receipts.log.chain import Chain
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.monitored import SPAN, Scored, changed, score, write


@pytest.fixture(scope="module")
def night() -> Dataset:
    return synthetic(700, seed=45)


@pytest.fixture(scope="module")
def scored(scorer: Scorer, night: Dataset) -> Scored:
    return score(scorer, night)


@pytest.mark.parametrize("rows", [1, 20])
def test_a_window_that_can_show_nothing_says_so(scored: Scored, rows: int) -> None:
    figures = scored.figures(scored.frame.head(rows))
    assert figures.light is Light.GREEN
    assert f"But so few decisions ({rows}) show little: chance hides any PSI up to " in headline(figures)
    assert "show little" not in headline(scored.figures())


def test_a_handful_of_outcomes_confirms_nothing(scored: Scored, night: Dataset) -> None:
    known = night.labels.join(scored.frame, on="application_id", how="semi")
    few, many = scored.figures(labels=known.head(49)), scored.figures(labels=known.head(900))
    assert (few.statement.state, many.statement.state) == (State.UNCHECKED, State.CONFIRMED)
    assert "Only 49 matured outcomes of this window are known" in few.statement.sentences[1]
    assert "too few matured yet" in headline(few)


def test_cells_that_are_filled_in_are_not_called_empty(scorer: Scorer, night: Dataset) -> None:
    full = {"occupation": pl.lit("nurse"), "credit_mix": pl.lit("Good"), "annual_income": pl.lit("30000")}
    figures = score(scorer, night, changed(night, 1, **full)).figures()
    filled = [alarm for alarm in figures.alarms if alarm.what.startswith((Kind.MISSING, Kind.DIRT))]
    assert filled
    assert all("more usable values than at training" in alarm.do for alarm in filled)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p_good": pl.lit("NaN")}, "are no probabilities"),
        ({"p_good": pl.lit("7.5")}, "are no probabilities"),
        ({"p_poor": pl.col("p_poor") + 0.01}, "are no probabilities"),
        ({"credit_score": pl.lit("")}, "a cell is empty or no number"),
        ({"decision_id": pl.lit("00")}, "a value of decision_id is repeated"),
        ({"application_id": pl.lit("00")}, "a value of application_id is repeated"),
        ({"bundle_id": pl.lit("00")}, "were made by another bundle"),
        ({"credit_class": pl.lit("Excellent")}, "none of the bundle's"),
    ],
)
def test_decisions_that_no_door_wrote_are_refused(
    scored: Scored, night: Dataset, tmp_path: Path, change: dict[str, pl.Expr], said: str
) -> None:
    files = Files(
        decisions=tmp_path / "decisions.parquet",
        applications=tmp_path / "applications.parquet",
        events=tmp_path / "events.parquet",
        labels=None,
    )
    night.applications.write_parquet(files.applications)
    night.events.write_parquet(tmp_path / "events.parquet")
    kept = scored.frame.drop("door", "^feature:.*$").drop("reasons", strict=False)
    kept.with_columns(**change).write_parquet(files.decisions)
    with pytest.raises(InputError, match=said):
        watch_files(scored.scorer.bundle, files, SPAN)
    kept.drop("p_good", "decision_id").write_parquet(files.decisions)
    with pytest.raises(InputError, match=r"column decision_id, p_good is missing. Expected what `credit score` writes"):
        watch_files(scored.scorer.bundle, files, SPAN)
    kept.write_parquet(files.decisions)
    assert watch_files(scored.scorer.bundle, files, SPAN).notes == ()


def test_a_log_without_decisions_of_the_bundle_says_whose_it_has(scored: Scored, tmp_path: Path) -> None:
    with Chain.open(tmp_path / "empty", "batch-test"):
        pass
    with pytest.raises(InputError, match="It is empty: no door has sealed a decision yet"):
        watch_log(scored.scorer.bundle, tmp_path / "empty", SPAN)
    other = "1" * 64
    log = write(tmp_path / "log", scored.scorer, scored.frame.head(9).with_columns(bundle_id=pl.lit(other)))
    with pytest.raises(InputError, match=f"It has those of {other}. Name the bundle that decided"):
        watch_log(scored.scorer.bundle, log, SPAN)


@pytest.mark.parametrize(("name", "said"), [("m.json", "is where the JSON goes"), ("folder", "is a folder")])
def test_a_page_that_its_own_json_would_replace_is_refused_at_once(
    bundle: Path, credit: Credit, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "folder").mkdir()
    refused = credit("monitor", tmp_path / "log", "--bundle", bundle, "--out", tmp_path / name)
    assert refused.returncode == 2
    assert said in " ".join(refused.stderr.split())
    assert not (tmp_path / "m.json").exists()

"""Training's own months differ: what comes back with the season, or with data that had just begun, is no drift."""

from dataclasses import replace

import polars as pl
import pytest

from features.spec.file import parse_spec
from model_export.export import export
from monitoring.nightly.alarms import Topic
from monitoring.nightly.finding import Kind
from monitoring.nightly.watch import Figures, watch
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.bundle.reference import read_reference
from scoring.scorer import Scorer
from tests.monitored import score
from training.data import TrainingData
from training.run import train

pytestmark = pytest.mark.slow

DECEMBER = pl.int_range(pl.len()) % 2 == 1


def income(factor: float) -> pl.Expr:
    number = pl.col("annual_income").str.strip_chars("_").cast(pl.Float64, strict=False)
    return (number * factor).round(2).cast(pl.String)


def two_months(customers: int, seed: int) -> Dataset:
    """Applications of November and December; in December incomes are stated with the year's bonus."""
    made = synthetic(customers, seed=seed)
    as_of = pl.when(DECEMBER).then(pl.lit("2025-12-15")).otherwise(pl.lit("2025-11-15"))
    stated = pl.when(DECEMBER).then(income(3)).otherwise("annual_income")
    return replace(made, applications=made.applications.with_columns(as_of=as_of, annual_income=stated))


@pytest.fixture(scope="module")
def seasonal(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    made = two_months(1100, seed=61)
    trained = train(TrainingData(made.applications, made.events, made.labels), parse_spec(made.spec_text))
    return Scorer.open(export(trained, tmp_path_factory.mktemp("bundles")))


@pytest.fixture(scope="module")
def tonight() -> Dataset:
    return two_months(1500, seed=62)


def drift(figures: Figures) -> list[str]:
    return [alarm.what for alarm in figures.alarms if alarm.topic is Topic.DRIFT]


def test_months_like_those_of_training_raise_no_alarm(seasonal: Scorer, tonight: Dataset) -> None:
    scored = score(seasonal, tonight)
    assert [month.name for month in read_reference(seasonal.bundle).months] == ["2025-11", "2025-12"]
    december = scored.frame.filter(pl.col("as_of").dt.month() == 12)
    for rows in (None, december):
        assert not drift(scored.figures(rows))
        watched = scored.watched(rows)
        watched.window.reference = replace(watched.window.reference, months=())
        assert drift(watch(watched)), "against all of training alone, a month of it looks like drift"


def test_what_no_month_of_training_was_like_is_found(seasonal: Scorer, tonight: Dataset) -> None:
    poorer = tonight.applications.with_columns(annual_income=income(0.5))
    first = score(seasonal, replace(tonight, applications=poorer)).figures().ranking[0]
    assert (first.kind, first.name, first.alarm) == (Kind.VALUES, "annual_income", True)

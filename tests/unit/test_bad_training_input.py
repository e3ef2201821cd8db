"""What `credit train` and `credit export` do with input that is odd or wrong: the exit code, and what they say."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from features.matrix import list_features
from features.spec.file import parse_spec
from scoring.bundle.folder import read_bundle
from tests.conftest import Credit

ROWS = 200
SPEC = """
spec_version = 2
name = "small"
classes = ["Poor", "Good"]
currency = { code = "EUR", minor_digits = 2 }
score = { base_score = 600, base_odds = 2, points_to_double_odds = 50 }

[attributes.income]
kind = "number"

[attributes.debt]
kind = "number"

[attributes.home]
kind = "category"
values = ["rent", "own"]

[policy.costs]
Poor = { Poor = 0, Good = 500 }
Good = { Poor = 100, Good = 0 }

[reasons.R]
of = ["income", "debt", "home"]
high = "high"
low = "low"
missing = "missing"
"""
WEIGHED = SPEC + '\n[weights]\ncolumn = "weight"\n'
Lines = tuple[int, str, str]


def book(folder: Path, spec: str = SPEC, poor: int = ROWS // 3, *, one_customer: bool = False, **labels: Any) -> None:
    """Write a book of 200 applications, of which so many are Poor, by all of them or by one customer."""
    generator = np.random.default_rng(1)
    income, debt = generator.normal(size=(2, ROWS))
    latent = 2 * income - debt + generator.logistic(size=ROWS)
    bad = np.isin(np.arange(ROWS), np.argsort(latent)[:poor])
    ids = [f"A{i}" for i in range(ROWS)]
    customers = ["C" if one_customer and bad[i] else f"C{i}" for i in range(ROWS)]
    identity = {"application_id": ids, "customer_id": customers, "as_of": ["2026-01-01"] * ROWS}
    stated = {"income": income, "debt": debt, "home": ["rent", "own"] * (ROWS // 2)}
    pl.DataFrame({**identity, **stated}).write_csv(folder / "applications.csv")
    known = {"application_id": ids, "credit_class": np.where(bad, "Poor", "Good"), **labels}
    pl.DataFrame(known).write_csv(folder / "labels.csv")
    (folder / "spec.toml").write_text(spec)


def trained(folder: Path, credit: Credit, kind: str = "decision-tree") -> Lines:
    done = credit("train", folder, "--bundles", folder / "b", "--model", kind)
    return done.returncode, done.stdout, done.stderr


def exported(folder: Path, model: str, credit: Credit, *options: object) -> Lines:
    data = ("--spec", folder / "spec.toml", "--calibration", folder, "--bundles", folder / "b")
    done = credit("export", "--model", folder / model, *data, *options)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_two_defaults_in_all_make_a_bundle_that_says_how_little_it_knows(tmp_path: Path, credit: Credit) -> None:
    book(tmp_path, poor=2)
    code, said, error = trained(tmp_path, credit)
    assert code == 0, error
    assert "Only 2 of 200 judged applications are Poor: the sample is too small to say how good the model is." in said
    assert "The policy refuses nobody" in said


def test_a_class_of_one_customer_is_named(tmp_path: Path, credit: Credit) -> None:
    book(tmp_path, one_customer=True)
    code, _, error = trained(tmp_path, credit)
    assert code == 1
    assert "Poor is so rare that fewer than 2 customers" in error
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_a_direction_that_contradicts_the_data_is_kept_priced_and_said(tmp_path: Path, credit: Credit) -> None:
    contrary = SPEC.replace("[attributes.income]\n", '[attributes.income]\ndirection = "down"\n')
    book(tmp_path, contrary.replace("[attributes.debt]\n", '[attributes.debt]\ndirection = "down"\n'))
    code, said, error = trained(tmp_path, credit, "xgboost")
    assert code == 0, error
    assert "note: the direction of income goes against the data: alone it costs +" in error
    assert "the direction of debt" not in error, "it agrees with the data"
    assert "Directions cost +" in said
    manifest = read_bundle(Path(said.splitlines()[-1])).manifest
    prices = {row["name"]: row["log_loss"]["low"] for row in manifest["evaluation"]["directions"]["each"]}
    assert prices["income"] > 0.02
    assert manifest["parity"]["directions"]["comparisons"] > 0


def test_a_direction_of_an_unordered_category_is_refused(tmp_path: Path, credit: Credit) -> None:
    book(tmp_path, SPEC.replace("[attributes.home]\n", '[attributes.home]\ndirection = "down"\n'))
    code, _, error = trained(tmp_path, credit)
    assert code == 2
    assert "attributes.home.direction: a category without an order has no more and no less" in error


@pytest.mark.parametrize(
    ("weight", "words"), [(-1.0, "1 negative"), (None, "1 missing"), ("heavy", "1 no number"), ("inf", "1 no number")]
)
def test_weights_that_are_none_are_counted(weight: Any, words: str, tmp_path: Path, credit: Credit) -> None:
    weights = [weight, *[str(1.0) if isinstance(weight, str) else 1.0] * (ROWS - 1)]
    book(tmp_path, WEIGHED, weight=weights)
    code, _, error = trained(tmp_path, credit)
    assert code == 1
    assert f"labels: column 'weight': of 200 labelled applications the weight is: {words}" in error
    assert "heavy" not in error


def test_a_column_of_weights_that_is_not_there_is_named(tmp_path: Path, credit: Credit) -> None:
    book(tmp_path, WEIGHED)
    code, _, error = trained(tmp_path, credit)
    assert code == 1
    assert "neither has a column 'weight'" in error


def test_predictions_of_other_applications_are_told_apart(tmp_path: Path, credit: Credit) -> None:
    book(tmp_path)
    columns = len(list_features(parse_spec(SPEC)))
    x = np.random.default_rng(0).normal(size=(50, columns))
    data = xgboost.DMatrix(x, label=(x[:, 0] > 0).astype(int))
    xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 2).save_model(tmp_path / "m.json")
    expected = pl.DataFrame({"application_id": [f"X{i}" for i in range(50)], "Good": [0.5] * 50})
    expected.write_parquet(tmp_path / "expected.parquet")
    code, _, error = exported(tmp_path, "m.json", credit, "--expected", tmp_path / "expected.parquet")
    assert code == 1
    assert "none of their 50 applications is among" in error
    assert not (tmp_path / "b").exists()


def my_own_function(x: Any) -> Any:
    return x


def test_a_skops_file_with_untrusted_types_is_refused_by_their_names(tmp_path: Path, credit: Credit) -> None:
    book(tmp_path)
    x = np.random.default_rng(0).normal(size=(50, 4))
    pipeline = make_pipeline(FunctionTransformer(my_own_function), DecisionTreeClassifier(max_depth=2))
    skops.io.dump(pipeline.fit(x, x[:, 0] > 0), tmp_path / "m.skops")
    code, _, error = exported(tmp_path, "m.skops", credit)
    assert code == 2
    assert "my_own_function" in error
    assert "They are not loaded." in error
    assert not (tmp_path / "b").exists()

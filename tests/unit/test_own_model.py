"""A model trained in a notebook on our matrix, exported through the same gate; and bundles in and out of service."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Spec
from recipes.dataset import Dataset
from scoring.scorer import Scorer
from tests.conftest import Credit


@pytest.fixture
def folder(tmp_path: Path, dataset: Dataset) -> Path:
    for name in ("applications", "events", "labels"):
        getattr(dataset, name).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "spec.toml").write_text(dataset.spec_text)
    return tmp_path


def matrix(folder: Path, credit: Credit) -> tuple[pl.DataFrame, NDArray[np.str_]]:
    inputs = ("--applications", folder / "applications.parquet", "--events", folder / "events.parquet")
    done = credit("features", "--spec", folder / "spec.toml", *inputs, "--out", folder / "matrix.parquet")
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet(folder / "matrix.parquet").join(
        pl.read_parquet(folder / "labels.parquet"), on="application_id"
    )
    return table.drop("application_id", "customer_id", "as_of", "credit_class"), table["credit_class"].to_numpy()


def export(folder: Path, model: Path, credit: Credit) -> tuple[int, str, str]:
    done = credit(
        "export", "--model", model, "--spec", folder / "spec.toml", "--calibration", folder, "--bundles", folder / "b"
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_a_notebooks_model_becomes_a_bundle(folder: Path, credit: Credit, spec: Spec, dataset: Dataset) -> None:
    features, classes = matrix(folder, credit)
    assert features.columns == [f.name for f in list_features(spec)]
    assert set(features.dtypes) == {pl.Float32}
    labels = np.array([spec.classes.index(c) for c in classes])
    data = xgboost.DMatrix(features.to_numpy(), label=labels, feature_names=features.columns)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 4}, data, num_boost_round=10)
    for suffix in ("json", "ubj"):
        booster.save_model(folder / f"model.{suffix}")
        code, said, error = export(folder, folder / f"model.{suffix}", credit)
        assert code == 0, error
    scorer = Scorer.open(Path(said.splitlines()[-1]))
    assert scorer.score(dataset.applications, dataset.events).decisions.height == features.height


@pytest.mark.slow
def test_a_binary_model_is_exported_with_two_classes(folder: Path, credit: Credit, dataset: Dataset) -> None:
    text = dataset.spec_text.replace('classes = ["Poor", "Standard", "Good"]', 'classes = ["Poor", "Good"]')
    start, end = text.index("[policy.costs]"), text.index("# Uncomment to demand")
    costs = "[policy.costs]\nPoor = { Poor = 0, Good = 300 }\nGood = { Poor = 500, Good = 0 }\n"
    (folder / "spec.toml").write_text(text[:start] + costs + text[end:])
    two = dataset.labels.with_columns(pl.col("credit_class").replace("Standard", "Good"))
    two.write_parquet(folder / "labels.parquet")
    features, classes = matrix(folder, credit)
    data = xgboost.DMatrix(features.to_numpy(), label=classes == "Good")
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4}, data, num_boost_round=10)
    booster.save_model(folder / "model.json")
    code, said, error = export(folder, folder / "model.json", credit)
    assert code == 0, error
    decisions = Scorer.open(Path(said.splitlines()[-1])).score(dataset.applications, dataset.events).decisions
    assert [c for c in decisions.columns if c.startswith("p_")] == ["p_poor", "p_good"]
    order = decisions["p_good"].to_numpy().argsort()
    native = booster.predict(data)
    assert (np.diff(native[order]) >= -1e-6).all(), "calibration keeps the order of a binary model"
    trained = credit("train", folder, "--bundles", folder / "b", "--model", "decision-tree")
    assert trained.returncode == 0, trained.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(f.columns[0]), "the model takes"),
        (lambda f: f.rename({f.columns[1]: "other"}), "the model's column 2 is 'other'"),
    ],
)
def test_a_model_of_another_matrix_is_refused(change: object, message: str, folder: Path, credit: Credit) -> None:
    features, classes = matrix(folder, credit)
    other = change(features)  # type: ignore[operator]
    data = xgboost.DMatrix(other.to_numpy(), label=classes == "Good", feature_names=other.columns)
    xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, num_boost_round=1).save_model(
        folder / "m.json"
    )
    code, _, error = export(folder, folder / "m.json", credit)
    assert code == 1
    assert message in error


@pytest.mark.slow
def test_files_that_are_no_model_are_refused(folder: Path, credit: Credit) -> None:
    (folder / "m.json").write_text("{}")
    (folder / "m.pkl").write_text("")
    for name, message in (
        ("m.json", "XGBoost cannot load it"),
        ("m.pkl", "expected .json or .ubj"),
        ("x.json", "no such file"),
    ):
        code, _, error = export(folder, folder / name, credit)
        assert (code, message in error) == (1, True), error


def test_features_wants_one_source_and_one_result(folder: Path, credit: Credit) -> None:
    inputs = ("--applications", folder / "applications.parquet", "--events", folder / "events.parquet")
    assert credit("features", *inputs, "--out", folder / "m.parquet").returncode == 2
    assert credit("features", *inputs, "--spec", folder / "spec.toml").returncode == 2


@pytest.mark.slow
def test_promote_and_rollback_switch_the_link(folder: Path, credit: Credit) -> None:
    bundles, spec = [], folder / "spec.toml"
    for name in ("synthetic-lender", "another-lender"):
        spec.write_text(spec.read_text().replace('name = "synthetic-lender"', f'name = "{name}"'))
        done = credit("train", folder, "--bundles", folder / "b", "--model", "decision-tree")
        bundles.append(Path(done.stdout.splitlines()[-1]))
    assert bundles[0] != bundles[1]
    link = folder / "b/current"
    assert credit("bundle", "rollback", "--bundles", folder / "b").returncode == 2
    assert "no such link" in credit("bundle", "rollback", "--bundles", folder / "elsewhere").stderr
    for bundle in bundles:
        assert credit("bundle", "promote", bundle).returncode == 0
        assert link.resolve() == bundle.resolve()
    assert credit("bundle", "rollback", "--bundles", folder / "b").returncode == 0
    assert link.resolve() == bundles[0].resolve()
    assert credit("bundle", "rollback", "--bundles", folder / "b").returncode == 0
    assert link.resolve() == bundles[1].resolve()
    (bundles[0] / "policy.toml").write_text("")
    done = credit("bundle", "rollback", "--bundles", folder / "b")
    assert (done.returncode, link.resolve()) == (2, bundles[1].resolve()), "a damaged bundle never gets into service"
    assert "policy.toml" in done.stderr
    assert credit("bundle", "promote", bundles[1], "--as", bundles[0].name).returncode == 2

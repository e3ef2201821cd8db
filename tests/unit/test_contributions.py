"""Contributions are the exact Shapley values of the served model, as xgboost and shap compute them."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.adversarial import finite
from model_export.trees.tabulate import tabulate
from model_export.trees.trees import Ensemble, from_forest, from_model, from_xgboost
from recipes.dataset import Dataset
from recipes.kaggle import kaggle
from recipes.uci import uci
from tests.conftest import real_data
from tests.contribution_parts import TOLERANCE, Floats, adversarial_rows, ones
from training.data import Examples, TrainingData, label_examples
from training.fit.fit import Fitted, ModelKind, OrdinalXgboost
from training.fit.grow import fit_plan
from training.fit.recipe import EnsemblePlan, Plan, shape
from training.run import Trained

with warnings.catch_warnings():  # its import sets off a warning of matplotlib
    warnings.simplefilter("ignore")
    import shap


def by_xgboost(booster: xgboost.Booster, rows: Floats) -> NDArray[np.float64]:
    """XGBoost's own values as rows x features x classes; of a binary model, the worse class has none."""
    data = xgboost.DMatrix(rows, feature_names=booster.feature_names)
    raw = booster.predict(data, pred_contribs=True).astype(np.float64)
    if raw.ndim == 2:
        raw = np.stack([np.zeros_like(raw), raw], axis=1)
    return np.moveaxis(raw[:, :, :-1], 2, 1)


def by_shap(model: Any, rows: Floats) -> NDArray[np.float64]:
    values = np.asarray(shap.TreeExplainer(model).shap_values(rows, check_additivity=False))
    return values if values.ndim == 3 else np.stack([np.zeros_like(values), values], axis=2)


def largest_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max())


def raw_scores(ensemble: Ensemble, rows: Floats) -> NDArray[np.float64]:
    """Walk the neutral trees by hand, row by row."""
    scores = np.tile(ensemble.base_values.astype(np.float64), (len(rows), 1))
    for tree in ensemble.trees:
        for i, row in enumerate(rows):
            node = 0
            while tree.left[node] >= 0:
                x, threshold = row[tree.feature[node]], tree.threshold[node]
                left = tree.missing_left[node] if np.isnan(x) else (x <= threshold if tree.inclusive else x < threshold)
                node = tree.left[node] if left else tree.right[node]
            scores[i] += (
                tree.value[node] if tree.target < 0 else np.eye(scores.shape[1])[tree.target] * tree.value[node]
            )
    return scores


def of_boosters(model: Fitted, by: Callable[[xgboost.Booster, Floats], NDArray[np.float64]], rows: Floats) -> Any:
    """Rows x features x targets: what each ensemble of an ordinal model says about its better side."""
    assert isinstance(model, OrdinalXgboost)
    return np.stack([by(booster, rows)[:, :, 1] for booster in model.boosters], axis=2)


def test_the_default_model_agrees_with_xgboost_and_with_shap(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    tables = tabulate(ensemble, trained.calibration.scale)
    rows = np.concatenate([trained.features.matrix[:200], adversarial_rows(ensemble)])
    found = tables.contributions(rows)
    assert largest_difference(found, of_boosters(trained.model, by_xgboost, rows)) <= TOLERANCE
    assert largest_difference(found, of_boosters(trained.model, by_shap, rows)) <= TOLERANCE
    assert np.abs(found.sum(axis=1) + tables.base_values - trained.model.margins(rows)).max() <= TOLERANCE


def test_what_is_explained_is_the_calibrated_log_odds_of_better_than_the_assigned_class(trained: Trained) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    rows = trained.features.matrix[:300]
    native = of_boosters(trained.model, by_xgboost, rows)
    scale = trained.calibration.scale.astype(np.float64)
    p = trained.calibration.probabilities(trained.model.margins(rows))
    for assigned in (0, 1):
        found = tables.against(rows, assigned)
        assert largest_difference(found.T, -scale[assigned] * native[:, :, assigned]) <= TOLERANCE
        moved = np.log(p[:, assigned] / p[:, assigned + 1 :].sum(axis=1)) - found.sum(axis=0)
        assert np.ptp(moved) <= TOLERANCE, "but for a constant, contributions add up to the calibrated log-odds"


def holey(generator: np.random.Generator, rows: int = 400, features: int = 6) -> Floats:
    x = generator.normal(size=(rows, features)).astype(np.float32)
    x[:, 1] = np.rint(x[:, 1])
    x[generator.random(x.shape) < 0.15] = np.nan
    return x


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kind", [RandomForestClassifier, DecisionTreeClassifier])
def test_forests_and_trees_agree_with_shap(kind: Any, classes: int) -> None:
    generator = np.random.default_rng(classes)
    x = holey(generator)
    y = np.clip(np.nan_to_num(x[:, 0]) * 2 + np.isnan(x[:, 2]) + classes / 2, 0, classes - 1).astype(int)
    model = kind(max_depth=6, random_state=0, **({"n_estimators": 12} if kind is RandomForestClassifier else {}))
    model.fit(x, y)
    ensemble = from_forest(model)
    tables = tabulate(ensemble, ones(ensemble))
    rows = np.concatenate([x[:100], adversarial_rows(ensemble, most=200)])
    found = tables.contributions(rows)
    assert largest_difference(found, by_shap(model, rows)) <= TOLERANCE
    assert np.abs(found.sum(axis=1) + tables.base_values - model.predict_proba(rows)).max() <= TOLERANCE
    assert largest_difference(tables.against(rows, 0).T, found[:, :, 0] - found[:, :, -1]) <= 1e-12
    infinite = np.where(
        np.isnan(rows), rows, np.float32(np.inf)
    )  # thresholds that part missing from present are infinite
    assert any(np.isinf(tree.threshold).any() for tree in ensemble.trees)
    assert np.array_equal(tables.contributions(infinite), tables.contributions(finite(infinite)))


@pytest.mark.parametrize("parameters", [{"objective": "binary:logistic"}, {"num_class": 2}, {"num_class": 4}])
def test_boosters_of_two_and_more_classes_agree(parameters: dict[str, Any]) -> None:
    generator = np.random.default_rng(5)
    x = holey(generator)
    classes = parameters.get("num_class", 2)
    y = generator.integers(0, classes, len(x))
    data = xgboost.DMatrix(x, label=y)
    settings = {"objective": "multi:softprob", "max_depth": 6, "verbosity": 0, "learning_rate": 0.5, **parameters}
    booster = xgboost.train(settings, data, num_boost_round=8)
    ensemble = from_xgboost(booster)
    tables = tabulate(ensemble, ones(ensemble))
    rows = np.concatenate([x[:100], adversarial_rows(ensemble, most=200)])
    found = tables.contributions(rows)
    assert largest_difference(found, by_xgboost(booster, rows)) <= TOLERANCE
    assert largest_difference(found, by_shap(booster, rows)) <= TOLERANCE


def on_real_data(dataset: Dataset) -> tuple[Spec, Examples]:
    spec = parse_spec(dataset.spec_text)
    examples, _ = label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    return spec, examples


@pytest.mark.parametrize("name", ["kaggle", "uci"])
def test_real_rows_agree_with_xgboost(name: str) -> None:
    if name == "kaggle":
        spec, examples = on_real_data(kaggle(pl.read_parquet(real_data("credit_score_panel.parquet")).head(16_000)))
    else:
        clients = pl.read_csv(real_data("uci_default_of_credit_card_clients.csv"), infer_schema=False)
        spec, examples = on_real_data(uci(clients.head(8000)))
    ensembles = (EnsemblePlan(shape="M", parameters={**shape("M", 300, 60), "rounds": 60}),) * (len(spec.classes) - 1)
    model = fit_plan(examples, Plan(kind=ModelKind.XGBOOST, folds=5, seed=0, ensembles=ensembles))
    ensemble = from_model(model)
    tables = tabulate(ensemble, ones(ensemble))
    rows = np.concatenate([examples.matrix[::40], adversarial_rows(ensemble, most=200)])
    found = tables.contributions(rows)
    assert largest_difference(found, of_boosters(model, by_xgboost, rows)) <= TOLERANCE
    assert np.abs(found.sum(axis=1) + tables.base_values - raw_scores(ensemble, rows)).max() <= TOLERANCE


def test_a_wrong_cover_is_seen(trained: Trained) -> None:
    """The comparison can fail: the cover of one leaf, which no prediction depends on, moves the values."""
    ensemble = from_model(trained.model)
    cover = ensemble.trees[0].cover.copy()
    cover[np.flatnonzero(ensemble.trees[0].left < 0)[0]] *= 2
    damaged = replace(ensemble, trees=(replace(ensemble.trees[0], cover=cover), *ensemble.trees[1:]))
    rows = trained.features.matrix[:50]
    found = tabulate(damaged, trained.calibration.scale).contributions(rows)
    assert largest_difference(found, of_boosters(trained.model, by_xgboost, rows)) > TOLERANCE

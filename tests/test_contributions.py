"""Contributions are the exact Shapley values of the served model, whichever way they are computed."""

import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from features.errors import BundleError, ExportError
from features.spec import Spec
from features.spec_file import parse_spec
from model_export.adversarial import adversarial_cases, finite
from model_export.tabulate import tabulate
from model_export.trees import Ensemble, Tree, from_forest, from_model, from_xgboost
from recipes.dataset import Dataset
from recipes.kaggle import kaggle
from recipes.uci import uci
from scoring.shap_tables import ShapTables
from tests.conftest import real_data
from training.data import Examples, TrainingData, label_examples
from training.fit import ModelKind, fit
from training.run import Trained

with warnings.catch_warnings():  # its import sets off a warning of matplotlib
    warnings.simplefilter("ignore")
    import shap

Floats = NDArray[np.float32]
TOLERANCE = 1e-5


def ones(ensemble: Ensemble) -> Floats:
    return np.ones(len(ensemble.base_values), dtype=np.float32)


def adversarial_rows(ensemble: Ensemble, most: int = 600) -> Floats:
    """Thresholds and their neighbours, missing values, infinities as the largest floats; and rows mostly missing."""
    rows = finite(np.concatenate([case.rows for case in adversarial_cases(ensemble, seed=3)]))
    generator = np.random.default_rng(3)
    rows = rows[generator.permutation(len(rows))[:most]]
    holes = rows.copy()
    holes[generator.random(holes.shape) < 0.4] = np.nan
    return np.concatenate([rows, holes])


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


def test_the_default_model_agrees_with_xgboost_and_with_shap(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    tables = tabulate(ensemble, trained.calibration.scale)
    rows = np.concatenate([trained.features.matrix[:200], adversarial_rows(ensemble)])
    found = tables.contributions(rows)
    booster = trained.model.booster  # type: ignore[attr-defined]
    assert largest_difference(found, by_xgboost(booster, rows)) <= TOLERANCE
    assert largest_difference(found, by_shap(booster, rows)) <= TOLERANCE
    assert np.abs(found.sum(axis=1) + tables.base_values - trained.model.margins(rows)).max() <= TOLERANCE


def test_what_is_explained_is_the_calibrated_log_odds_against_the_best_class(trained: Trained) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    rows = trained.features.matrix[:300]
    native = by_xgboost(trained.model.booster, rows)  # type: ignore[attr-defined]
    scale = trained.calibration.scale.astype(np.float64)
    log_odds = np.log(trained.calibration.probabilities(trained.model.margins(rows)))
    for assigned in (0, 1):
        expected = scale[assigned] * native[:, :, assigned] - scale[2] * native[:, :, 2]
        found = tables.against(rows, assigned)
        assert largest_difference(found.T, expected) <= TOLERANCE
        moved = (log_odds[:, assigned] - log_odds[:, 2]) - found.sum(axis=0)
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


@dataclass(frozen=True)
class Node:
    """A tree as the oracle knows it: a leaf has a value, a split has the rest."""

    value: float = 0.0
    feature: int = -1
    threshold: float = 0.0
    missing_left: bool = False
    children: tuple["Node", ...] = ()
    cover: float = 1.0


def expectation(node: Node, row: Floats, known: frozenset[int]) -> float:
    """The path-dependent expectation, straight from its definition (Lundberg et al. 2018, algorithm 1)."""
    if not node.children:
        return node.value
    left, right = node.children
    if node.feature not in known:
        parts = left.cover * expectation(left, row, known) + right.cover * expectation(right, row, known)
        return parts / node.cover
    x = row[node.feature]
    goes_left = node.missing_left if np.isnan(x) else x < node.threshold
    return expectation(left if goes_left else right, row, known)


def by_definition(node: Node, row: Floats) -> NDArray[np.float64]:
    """Shapley's formula over all sets of features."""
    count = len(row)
    values = np.zeros(count)
    for i in range(count):
        rest = [j for j in range(count) if j != i]
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for subset in itertools.combinations(rest, size):
                gain = expectation(node, row, frozenset(subset) | {i}) - expectation(node, row, frozenset(subset))
                values[i] += weight * gain
    return values


@st.composite
def nodes(draw: st.DrawFn, depth: int = 5) -> Node:
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return Node(value=draw(st.integers(-8, 8)) / 4, cover=draw(st.integers(1, 50)))
    children = (draw(nodes(depth - 1)), draw(nodes(depth - 1)))
    return Node(
        feature=draw(st.integers(0, 3)),
        threshold=draw(st.integers(-2, 2)),
        missing_left=draw(st.booleans()),
        children=children,
        cover=children[0].cover + children[1].cover,
    )


def flatten(root: Node) -> Tree:
    order: list[Node] = []

    def visit(node: Node) -> Iterator[Node]:
        yield node
        for child in node.children:
            yield from visit(child)

    order = list(visit(root))
    place = {id(node): i for i, node in enumerate(order)}

    def child(node: Node, side: int) -> int:
        return place[id(node.children[side])] if node.children else -1

    return Tree(
        target=0,
        inclusive=False,
        feature=np.array([max(n.feature, 0) for n in order]),
        threshold=np.array([n.threshold for n in order], dtype=np.float32),
        left=np.array([child(n, 0) for n in order]),
        right=np.array([child(n, 1) for n in order]),
        missing_left=np.array([n.missing_left for n in order]),
        value=np.array([[n.value] for n in order], dtype=np.float32),
        cover=np.array([n.cover for n in order], dtype=np.float32),
    )


@given(nodes(), st.lists(st.lists(st.sampled_from([-3, -1, 0, 1, 2, np.nan]), min_size=4, max_size=4), min_size=1))
def test_any_tree_gets_the_values_of_the_definition(root: Node, rows: list[list[float]]) -> None:
    """Repeated features on a path, missing values both ways, trees cut into several groups."""
    base = np.zeros(2, dtype=np.float32)
    tables = tabulate(Ensemble(features=4, base_values=base, trees=(flatten(root),)), np.ones(2, dtype=np.float32))
    matrix = np.array(rows, dtype=np.float32)
    found = tables.contributions(matrix)[:, :, 0]
    for row, values in zip(matrix, found, strict=True):
        assert np.abs(values - by_definition(root, row)).max() <= TOLERANCE


def test_alone_in_bulk_and_in_any_order_the_same_bits(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    tables = tabulate(ensemble, trained.calibration.scale)
    rows = np.concatenate([adversarial_rows(ensemble), np.resize(trained.features.matrix, (3000, ensemble.features))])
    together = tables.against(rows, 0)
    order = np.random.default_rng(0).permutation(len(rows))
    assert np.array_equal(tables.against(rows[order], 0), together[:, order])
    for size in (1, 7, 96, 97):
        for start in (0, 1000, 2040):
            part = slice(start, start + size)
            assert np.array_equal(tables.against(rows[part], 0), together[:, part])


def test_infinities_take_the_side_of_the_largest_floats(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    tables = tabulate(ensemble, trained.calibration.scale)
    rows = np.concatenate([c.rows for c in adversarial_cases(ensemble) if "infinity" in c.kind])
    assert np.isinf(rows).any()
    assert np.array_equal(tables.contributions(rows), tables.contributions(finite(rows)))


def test_tables_are_the_same_bytes_twice_and_read_back(trained: Trained) -> None:
    ensemble = from_model(trained.model)
    content = tabulate(ensemble, trained.calibration.scale).to_bytes()
    assert tabulate(from_model(trained.model), trained.calibration.scale).to_bytes() == content
    rows = trained.features.matrix[:50]
    read = ShapTables.from_bytes(content, "explain/shap.npz")
    assert np.array_equal(read.contributions(rows), tabulate(ensemble, trained.calibration.scale).contributions(rows))
    assert b"pickle" not in content


@pytest.mark.parametrize("name", ["entry_start", "group_conditions", "entry_feature", "condition_feature"])
def test_tables_that_lead_nowhere_are_refused(name: str, trained: Trained) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    damaged = replace(tables, **{name: getattr(tables, name) + np.int32(2**20)})
    with pytest.raises(BundleError, match=r"explain/shap\.npz: not tables"):
        ShapTables.from_bytes(damaged.to_bytes(), "explain/shap.npz")
    for content in (b"", b"PK", tables.to_bytes()[:5000]):
        with pytest.raises(BundleError, match=r"explain/shap\.npz: not tables"):
            ShapTables.from_bytes(content, "explain/shap.npz")


def test_trees_that_are_too_deep_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(3000, 5)).astype(np.float32), generator.integers(0, 2, 3000)
    deep = from_forest(DecisionTreeClassifier(max_depth=11, random_state=0).fit(x, y))
    with pytest.raises(ExportError, match="splits deep; reasons need at most 8"):
        tabulate(deep, ones(deep))
    bushy = from_forest(DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, y))
    monkeypatch.setattr("model_export.tabulate.MOST_BYTES", 1000)
    with pytest.raises(ExportError, match="tables for reasons would take more than"):
        tabulate(bushy, ones(bushy))


def test_a_model_without_a_split_has_no_contributions() -> None:
    stump = from_forest(DecisionTreeClassifier(max_depth=6).fit(np.ones((10, 3), dtype=np.float32), np.arange(10) % 2))
    tables = ShapTables.from_bytes(tabulate(stump, ones(stump)).to_bytes(), "shap.npz")
    assert tables.base_values.tolist() == [0.5, 0.5]
    for rows in (1, 500):
        assert not tables.contributions(np.zeros((rows, 3), dtype=np.float32)).any()


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
    model = fit(ModelKind.XGBOOST, examples, len(spec.classes), seed=0)
    ensemble = from_model(model)
    tables = tabulate(ensemble, ones(ensemble))
    rows = np.concatenate([examples.matrix[::40], adversarial_rows(ensemble, most=200)])
    found = tables.contributions(rows)
    assert largest_difference(found, by_xgboost(model.booster, rows)) <= TOLERANCE  # type: ignore[attr-defined]
    assert np.abs(found.sum(axis=1) + tables.base_values - raw_scores(ensemble, rows)).max() <= TOLERANCE


def test_a_wrong_cover_is_seen(trained: Trained) -> None:
    """The comparison can fail: the cover of one leaf, which no prediction depends on, moves the values."""
    ensemble = from_model(trained.model)
    cover = ensemble.trees[0].cover.copy()
    cover[np.flatnonzero(ensemble.trees[0].left < 0)[0]] *= 2
    damaged = replace(ensemble, trees=(replace(ensemble.trees[0], cover=cover), *ensemble.trees[1:]))
    rows = trained.features.matrix[:50]
    booster = trained.model.booster  # type: ignore[attr-defined]
    found = tabulate(damaged, trained.calibration.scale).contributions(rows)
    assert largest_difference(found, by_xgboost(booster, rows)) > TOLERANCE

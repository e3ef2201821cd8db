"""The export is faithful or it is not written: the gate is broken by hand and must close each time."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from features.errors import DeliveryError, ExportError
from features.matrix import list_features
from features.spec.contract import Spec
from model_export.adversarial import adversarial_cases
from model_export.export import export, export_ensemble
from model_export.trees.graph import INPUT, OUTPUT, to_onnx
from model_export.trees.trees import Ensemble, Tree, from_forest, from_model
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from scoring.model import ROW_ORDER, Model
from scoring.scorer import Scorer
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import Trained, train


@pytest.fixture(scope="module")
def ensemble(trained: Trained) -> Ensemble:
    return from_model(trained.model)


@pytest.fixture(scope="module", params=[ModelKind.RANDOM_FOREST, ModelKind.DECISION_TREE])
def forest(request: pytest.FixtureRequest, dataset: Dataset, spec: Spec) -> Trained:
    """A forest or a tree that learned from missing values."""
    return train(TrainingData(dataset.applications, dataset.events, dataset.labels), spec, request.param)


def changed(ensemble: Ensemble, **arrays: object) -> Ensemble:
    """The ensemble with arrays of its first tree replaced."""
    return replace(ensemble, trees=(replace(ensemble.trees[0], **arrays), *ensemble.trees[1:]))  # type: ignore[arg-type]


def first(tree: Tree, *, leaf: bool) -> int:
    return int(np.flatnonzero((tree.left < 0) == leaf)[0])


def wrong_missing_direction(e: Ensemble) -> Ensemble:
    flipped = e.trees[0].missing_left.copy()
    flipped[first(e.trees[0], leaf=False)] ^= True
    return changed(e, missing_left=flipped)


def wrong_threshold(e: Ensemble) -> Ensemble:
    moved, at = e.trees[0].threshold.copy(), first(e.trees[0], leaf=False)
    moved[at] = np.nextafter(moved[at], np.float32(np.inf))
    return changed(e, threshold=moved)


def wrong_leaf(e: Ensemble) -> Ensemble:
    values, at = e.trees[0].value.copy(), first(e.trees[0], leaf=True)
    values[at] += np.float32(0.001)
    return changed(e, value=values)


def swapped_classes(e: Ensemble) -> Ensemble:
    return replace(e, trees=tuple(replace(t, target=1 - t.target) for t in e.trees))


def wrong_base(e: Ensemble) -> Ensemble:
    return replace(e, base_values=e.base_values + np.float32(0.01))


@pytest.mark.parametrize(
    "damage",
    [wrong_missing_direction, wrong_threshold, wrong_leaf, swapped_classes, wrong_base],
    ids=lambda f: f.__name__,
)
def test_the_gate_closes_on(damage: object, trained: Trained, ensemble: Ensemble, tmp_path: Path) -> None:
    damaged = damage(ensemble)  # type: ignore[operator]
    with pytest.raises(ExportError, match=r"parity gate: \d+ rows differ .*First: ") as error:
        export_ensemble(trained, damaged, tmp_path)
    assert not list(tmp_path.iterdir()), "a failing export writes no bundle"
    assert "(row " in str(error.value)


def test_the_error_names_the_feature_whose_threshold_is_wrong(
    trained: Trained, ensemble: Ensemble, tmp_path: Path
) -> None:
    tree = ensemble.trees[0]
    feature = list_features(trained.spec)[tree.feature[first(tree, leaf=False)]].name
    with pytest.raises(ExportError, match=rf"threshold of {feature} \(row \d+\) by"):
        export_ensemble(trained, wrong_threshold(ensemble), tmp_path)


def test_the_graph_equals_xgboost_on_random_rows_with_missing_values(trained: Trained, ensemble: Ensemble) -> None:
    generator = np.random.default_rng(1)
    rows = np.concatenate(
        [c.rows for c in adversarial_cases(ensemble, seed=5) if np.isfinite(c.rows).any() and "inf" not in c.kind]
    )
    rows[generator.random(rows.shape) < 0.3] = np.nan
    content = to_onnx(ensemble, trained.calibration.scale, trained.calibration.offset)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run([OUTPUT], {INPUT: rows})[0]
    expected = trained.calibration.probabilities(trained.model.margins(rows))
    assert np.abs(np.asarray(found) - expected).max() <= 1e-6
    assert np.abs(np.asarray(found).sum(axis=1) - 1).max() < 1e-6


def test_the_certificate_says_what_was_compared(bundle: Path, ensemble: Ensemble) -> None:
    parity = read_bundle(bundle).manifest["parity"]
    thresholds = {
        (f, t)
        for tree in ensemble.trees
        for f, t, left in zip(tree.feature, tree.threshold, tree.left, strict=True)
        if left >= 0
    }
    assert 0 < parity["largest_difference"] <= parity["tolerance"] == 1e-6
    for kind in ("threshold", "just below threshold", "just above threshold"):
        assert parity["rows"][kind] == len(thresholds)
    assert parity["rows"]["missing"] == parity["rows"]["infinity"] == ensemble.features
    assert parity["rows"]["golden"] >= 50


@pytest.mark.slow
def test_forests_and_trees_are_exported_with_their_missing_directions(forest: Trained, tmp_path: Path) -> None:
    assert np.isnan(forest.features.matrix).any()
    scorer = Scorer.open(export(forest, tmp_path))
    assert scorer.bundle.manifest["model"]["kind"] == forest.model.kind
    generator = np.random.default_rng(2)
    rows = forest.features.matrix.copy()
    rows[generator.random(rows.shape) < 0.3] = np.nan
    ensemble = from_model(forest.model)
    content = to_onnx(ensemble, forest.calibration.scale, forest.calibration.offset)
    found = Model(content, ensemble.features, 3).probabilities(rows)
    assert np.abs(found - forest.calibration.probabilities(forest.model.margins(rows))).max() <= 1e-6


@pytest.mark.parametrize("classes", [2, 3, 17])
def test_a_forests_rows_have_the_same_bits_in_every_batch(classes: int) -> None:
    """The logarithm of ONNX Runtime differs in the last bit between whole vector registers and what is left over."""
    generator = np.random.default_rng(classes)
    x = generator.normal(size=(3000, 4)).astype(np.float32)
    estimator = DecisionTreeClassifier(max_depth=6, min_samples_leaf=5).fit(x, np.arange(3000) % classes)
    ensemble = from_forest(estimator)
    scale = generator.uniform(0.5, 2, classes).astype(np.float32)
    model = Model(to_onnx(ensemble, scale, np.zeros(classes, dtype=np.float32)), 4, classes)
    together = model.probabilities(x)
    for size in (1, 2, 3, 5, 7, 16, 31, 1001):
        parts = [model.probabilities(x[start : start + size]) for start in range(0, len(x), size)]
        assert np.concatenate(parts).tobytes() == together.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [wrong_missing_direction, wrong_threshold, wrong_leaf], ids=lambda f: f.__name__)
def test_the_gate_closes_on_a_forest(damage: object, forest: Trained, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"parity gate: \d+ rows differ"):
        export_ensemble(forest, damage(from_model(forest.model)), tmp_path)  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_exporting_twice_gives_the_same_bundle(trained: Trained, bundle: Path) -> None:
    before = sorted(bundle.parent.iterdir())
    assert export(trained, bundle.parent) == bundle
    assert sorted(bundle.parent.iterdir()) == before


def test_the_manifest_holds_no_clock_and_no_row_of_the_data(bundle: Path, trained: Trained) -> None:
    text = (bundle / "manifest.json").read_text()
    assert json.loads(text)["training_data"]["sha256"] == trained.fingerprint
    for path in (p for p in bundle.rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert b"C7-0" not in content, "no customer of the training data"
        assert b"A7-0" not in content, "no application of the training data"


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_named(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match="file"):
        export(trained, tmp_path / "file" / "bundles")


def test_rows_are_put_in_order_of_path_and_come_out_with_the_same_bits(trained: Trained, ensemble: Ensemble) -> None:
    content = to_onnx(ensemble, trained.calibration.scale, trained.calibration.offset)
    model = onnx.load_from_string(content)
    (order,) = (json.loads(entry.value) for entry in model.metadata_props if entry.key == ROW_ORDER)
    assert len(order) == len({tuple(condition) for condition in order}) == 16
    generator = np.random.default_rng(0)
    rows = trained_rows(trained, generator)
    del model.metadata_props[:]
    plain = Model(model.SerializeToString(), ensemble.features, 3)
    ordered = Model(content, ensemble.features, 3)
    assert ordered.probabilities(rows).tobytes() == plain.probabilities(rows).tobytes()


def trained_rows(trained: Trained, generator: np.random.Generator) -> NDArray[np.float32]:
    rows = generator.normal(scale=100, size=(20_000, len(list_features(trained.spec)))).astype(np.float32)
    rows[generator.random(rows.shape) < 0.2] = np.nan
    return rows

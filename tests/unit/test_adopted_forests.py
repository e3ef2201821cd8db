"""Forests and trees of scikit-learn by skops: audited, in the spec's order of classes, through the same gate."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from onnxruntime import InferenceSession
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from features.errors import ExportError, InputError
from features.spec.contract import Spec
from model_export.adopted.adopted import Adoption, take_over
from model_export.export import export
from model_export.trees.graph import to_onnx
from model_export.trees.trees import from_model
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from tests.adopted import Notebook
from training.fit import FittedForest, ModelKind
from training.run import Trained

FORESTS = (
    RandomForestClassifier(8, max_depth=5, random_state=0),
    ExtraTreesClassifier(8, max_depth=5, random_state=0),
    DecisionTreeClassifier(max_depth=5, random_state=0),
)


@pytest.fixture(scope="module")
def notebook(dataset: Dataset, spec: Spec) -> Notebook:
    return Notebook(dataset, spec)


def dumped(model: object, folder: Path) -> Path:
    skops.io.dump(model, folder / "forest.skops")
    return folder / "forest.skops"


def adopted(notebook: Notebook, model: Path, expected: Any = None) -> Trained:
    adoption = Adoption(model=model, data=notebook.data, spec=notebook.spec, expected=expected)
    return take_over(adoption, lambda _stage: None)


@pytest.mark.parametrize("forest", FORESTS, ids=lambda f: type(f).__name__)
def test_forests_are_adopted_with_missing_values_and_labels_by_name(
    forest: Any, notebook: Notebook, tmp_path: Path
) -> None:
    assert np.isnan(notebook.x).any()
    forest.fit(notebook.x, np.array(notebook.spec.classes)[notebook.y])  # classes_ are Good, Poor, Standard
    expected = notebook.predictions(forest.predict_proba(notebook.x), list(forest.classes_))
    trained = adopted(notebook, dumped(forest, tmp_path), expected)
    found = trained.model.margins(notebook.x)
    assert np.abs(np.exp(found) - forest.predict_proba(notebook.x)[:, [1, 2, 0]]).max() <= 1.01e-6
    rows = notebook.x.copy()
    rows[np.random.default_rng(0).random(rows.shape) < 0.3] = np.nan
    neutral = from_model(trained.model)
    assert neutral.features == rows.shape[1]
    assert any(tree.missing_left.any() for tree in neutral.trees)


def test_a_thousand_trees_are_added_without_rounding_at_each_step() -> None:
    """Added as float32 they differed by 6e-7, and calibration can make that more than the gate allows."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(500, 6)).astype(np.float32)
    forest = RandomForestClassifier(1000, max_depth=3, random_state=0).fit(
        rows, (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 1)
    )
    graph = to_onnx(from_model(FittedForest(forest, ModelKind.RANDOM_FOREST)), np.ones(3, "f4"), np.zeros(3, "f4"))
    (found,) = InferenceSession(graph).run(None, {"features": rows})
    assert np.abs(found - forest.predict_proba(rows)).max() < 2e-7


@pytest.mark.slow
def test_a_forest_is_published_through_the_same_gate(notebook: Notebook, tmp_path: Path) -> None:
    forest = RandomForestClassifier(8, max_depth=5, random_state=0).fit(notebook.x, notebook.y)
    bundle = read_bundle(export(adopted(notebook, dumped(forest, tmp_path)), tmp_path / "bundles"))
    assert bundle.manifest["model"]["source"] == {
        "estimator": "RandomForestClassifier",
        "classes_in_file": ["0", "1", "2"],
    }
    assert bundle.manifest["parity"]["rows"]["own applications"] > 0


@pytest.mark.parametrize("of", [float, np.int32, str], ids=["floats", "integers", "texts"])
def test_labels_of_any_type_that_count_the_classes_are_taken(of: type, notebook: Notebook, tmp_path: Path) -> None:
    labels = notebook.y.astype(of) if of is not str else np.array(notebook.spec.classes)[notebook.y]
    tree = DecisionTreeClassifier(max_depth=3).fit(notebook.x, labels)
    trained = adopted(notebook, dumped(tree, tmp_path))
    order = [list(tree.classes_).index(name) for name in notebook.spec.classes] if of is str else [0, 1, 2]
    ours = trained.model.margins(notebook.x)
    assert np.abs(np.exp(ours) - tree.predict_proba(notebook.x)[:, order]).max() <= 1.01e-6


def test_labels_that_are_neither_names_nor_numbers_in_order_are_refused(notebook: Notebook, tmp_path: Path) -> None:
    tree = DecisionTreeClassifier(max_depth=3).fit(notebook.x, np.array(["a", "b", "c"])[notebook.y])
    with pytest.raises(InputError, match="classes are a, b, c, expected Poor, Standard, Good or 0 to 2"):
        adopted(notebook, dumped(tree, tmp_path))


def test_numbers_in_another_order_are_told_by_the_labels(notebook: Notebook, tmp_path: Path) -> None:
    tree = DecisionTreeClassifier(max_depth=4).fit(notebook.x, 2 - notebook.y)
    with pytest.raises(ExportError, match="in the order Good, Standard, Poor, expected Poor, Standard, Good"):
        adopted(notebook, dumped(tree, tmp_path))


def my_own_function(x: Any) -> Any:
    return x


def test_types_that_are_not_trusted_are_named_and_refused(notebook: Notebook, tmp_path: Path) -> None:
    pipeline = make_pipeline(FunctionTransformer(my_own_function), DecisionTreeClassifier(max_depth=3))
    pipeline.fit(notebook.x, notebook.y)
    with pytest.raises(ExportError, match=r"holds types .* does not need: .*my_own_function") as error:
        adopted(notebook, dumped(pipeline, tmp_path))
    assert "not loaded" in str(error.value)


def test_other_estimators_are_refused_by_name(notebook: Notebook, tmp_path: Path) -> None:
    x = np.nan_to_num(notebook.x)
    with pytest.raises(ExportError, match="GradientBoostingClassifier is not exported"):
        adopted(notebook, dumped(GradientBoostingClassifier(n_estimators=2).fit(x, notebook.y), tmp_path))
    with pytest.raises(ExportError, match="Pipeline is not exported"):
        adopted(notebook, dumped(make_pipeline(DecisionTreeClassifier(max_depth=2)).fit(x, notebook.y), tmp_path))


def test_columns_are_checked(notebook: Notebook, tmp_path: Path) -> None:
    tree = DecisionTreeClassifier(max_depth=2).fit(notebook.x[:, 1:], notebook.y)
    with pytest.raises(InputError, match="the model takes"):
        adopted(notebook, dumped(tree, tmp_path))
    frame = pd.DataFrame(notebook.x, columns=[*notebook.names[1::-1], *notebook.names[2:]])
    named = DecisionTreeClassifier(max_depth=2).fit(frame, notebook.y)
    with pytest.raises(InputError, match="the model's column 1 is"):
        adopted(notebook, dumped(named, tmp_path))


def with_nodes(path: Path, change: Any) -> Path:
    """The file with the nodes of its first tree changed, as an attacker would."""
    content = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    for name in sorted(content):
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(content[name]))
            if array.dtype.names and "left_child" in array.dtype.names:
                change(array)
                buffer = io.BytesIO()
                np.save(buffer, array)
                content[name] = buffer.getvalue()
                break
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("field", "value"),
    [("left_child", 10**9), ("left_child", 0), ("right_child", 1), ("feature", 10**6), ("feature", -7)],
)
def test_nodes_that_lead_nowhere_are_refused_before_anything_follows_them(
    field: str, value: int, notebook: Notebook, tmp_path: Path
) -> None:
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(notebook.x, notebook.y)

    def change(nodes: Any) -> None:
        nodes[field][0] = value

    with pytest.raises(ExportError, match="a tree of the model is damaged"):
        adopted(notebook, with_nodes(dumped(tree, tmp_path), change))


def test_files_that_are_no_skops_files_are_refused(notebook: Notebook, tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    for content in (b"", b"no archive", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"skops cannot load it"):
            adopted(notebook, path)
    schemas: tuple[Any, ...] = ({}, {"__class__": "x"}, [])
    for schema in schemas:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", json.dumps(schema))
        with pytest.raises((InputError, ExportError)):
            adopted(notebook, path)

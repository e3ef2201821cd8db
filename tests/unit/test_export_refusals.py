"""What cannot be exported faithfully is refused, and what is odd is exported as it is."""

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from features.errors import ExportError
from model_export.trees.graph import to_onnx
from model_export.trees.trees import from_forest, from_xgboost
from scoring.model import Model


def test_other_estimators_and_classes_are_refused() -> None:
    x, y = np.arange(60, dtype=np.float32).reshape(30, 2), np.arange(30) % 3
    with pytest.raises(ExportError, match="GradientBoostingClassifier is not exported"):
        from_forest(GradientBoostingClassifier(n_estimators=2).fit(x, y))
    with pytest.raises(ExportError, match="classes are not the indices"):
        from_forest(DecisionTreeClassifier().fit(x, y + 1))
    with pytest.raises(ExportError, match="2 outputs"):
        from_forest(DecisionTreeClassifier().fit(x, np.column_stack([y, y])))


def booster(**parameters: object) -> xgboost.Booster:
    generator = np.random.default_rng(0)
    data = xgboost.DMatrix(generator.normal(size=(300, 4)).astype(np.float32), label=generator.integers(0, 3, 300))
    defaults = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "verbosity": 0}
    return xgboost.train({**defaults, **parameters}, data, num_boost_round=3)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"booster": "dart"}, "booster is dart"),
        ({"booster": "gblinear"}, "booster is gblinear"),
        ({"num_parallel_tree": 3}, "num_parallel_tree is 3"),
        ({"objective": "multi:softmax"}, "objective is multi:softmax"),
        ({"multi_strategy": "multi_output_tree"}, "multi_output_tree"),
    ],
)
def test_what_cannot_be_exported_faithfully_is_refused(parameters: dict[str, object], reason: str) -> None:
    with pytest.raises(ExportError, match=reason):
        from_xgboost(booster(**parameters))


def test_categorical_splits_are_refused() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 5, (300, 1)).astype(np.float32)
    data = xgboost.DMatrix(codes, label=(codes[:, 0] % 3), feature_types=["c"], enable_categorical=True)
    model = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "tree_method": "hist"}, data, num_boost_round=3
    )
    with pytest.raises(ExportError, match="categorical splits"):
        from_xgboost(model)


def test_trees_without_a_split_are_exported() -> None:
    stump = from_xgboost(booster(gamma=1e9))
    assert all(len(tree.left) == 1 for tree in stump.trees)
    content = to_onnx(stump, np.ones(3, dtype=np.float32), np.zeros(3, dtype=np.float32))
    rows = np.zeros((2, 4), dtype=np.float32)
    native = booster(gamma=1e9).predict(xgboost.DMatrix(rows))
    assert np.abs(Model(content, 4, 3).probabilities(rows) - native).max() <= 1e-6

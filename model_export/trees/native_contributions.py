"""Contributions by XGBoost's own TreeSHAP, the independent judge of the tables.

A booster explains itself. Forests and trees are rewritten as an equal booster: scikit-learn has no TreeSHAP, and shap
is not needed for an export.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from model_export.trees.trees import ALL_CLASSES, Ensemble, Tree, leaf_of_nothing
from training.fit import Fitted, FittedXgboost, OrdinalXgboost, loaded, tree_json

_LARGEST = np.finfo(np.float32).max


def native_contributions(model: Fitted, ensemble: Ensemble, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows x features x targets by XGBoost. Rows must be finite or NaN."""
    below = np.nextafter(_LARGEST, np.float32(0))  # infinite thresholds are written as the largest float
    rows = np.clip(rows, -below, below)
    if isinstance(model, OrdinalXgboost):
        data = xgboost.DMatrix(rows)
        found = [booster.predict(data, pred_contribs=True)[:, :-1] for booster in model.boosters]
        return np.stack(found, axis=2).astype(np.float64)
    if ensemble.ordinal:  # targets beside an empty one, as a booster needs two classes
        both = np.append(ensemble.base_values, np.float32(0))
        trees = (*ensemble.trees, leaf_of_nothing(len(ensemble.base_values)))
        ensemble = replace(ensemble, base_values=both, trees=trees, ordinal=False)
        return native_contributions(model, ensemble, rows)[:, :, :-1]
    booster = model.booster if isinstance(model, FittedXgboost) else as_booster(ensemble)
    data = xgboost.DMatrix(rows, feature_names=booster.feature_names)
    values = booster.predict(data, pred_contribs=True).astype(np.float64)
    if values.ndim == 2:  # a binary model; the margin of its worse class is 0
        values = np.stack([np.zeros_like(values), values], axis=1)
    return np.moveaxis(values[:, :, :-1], 2, 1)


def as_booster(ensemble: Ensemble) -> xgboost.Booster:
    """Write an ensemble as a booster with one scalar tree per tree and class, whose margins are the raw scores."""
    classes = len(ensemble.base_values)
    parameters = {"objective": "multi:softprob", "num_class": classes, "base_score": 0.0, "nthread": 1, "verbosity": 0}
    nothing = xgboost.DMatrix(np.zeros((classes, ensemble.features), dtype=np.float32), label=np.arange(classes))
    content = json.loads(bytes(xgboost.train(parameters, nothing, num_boost_round=1).save_raw("json")))
    model = content["learner"]["gradient_booster"]["model"]
    trees = [
        (target, _tree(tree, target, ensemble.features))
        for tree in ensemble.trees
        for target in (range(classes) if tree.target == ALL_CLASSES else [tree.target])
    ]
    trees.sort(key=lambda pair: pair[0])
    model["trees"] = [{**tree, "id": i} for i, (_, tree) in enumerate(trees)]
    model["tree_info"] = [target for target, _ in trees]
    model["iteration_indptr"] = [0, len(trees)]
    model["gbtree_model_param"]["num_trees"] = str(len(trees))
    return loaded(content)


def _tree(tree: Tree, target: int, features: int) -> dict[str, Any]:
    order = _siblings_together(tree)
    place = np.argsort(order)
    leaf = (tree.left < 0)[order]
    left, right = (np.where(leaf, -1, place[side[order]]) for side in (tree.left, tree.right))
    values = tree.value[order, target if tree.target == ALL_CLASSES else 0]
    thresholds = np.nextafter(tree.threshold, np.float32(np.inf)) if tree.inclusive else tree.threshold
    conditions = np.where(leaf, values, np.clip(thresholds[order], -_LARGEST, _LARGEST))
    content = {
        "conditions": conditions,
        "feature": tree.feature[order],
        "missing_left": tree.missing_left[order],
        "cover": tree.cover[order],
    }
    return tree_json(left, right, content, features)


def _siblings_together(tree: Tree) -> NDArray[np.int64]:
    """Order the nodes so that a right child follows its left one, on which XGBoost's TreeSHAP relies."""
    order = [0]
    for node in order:  # grows while it is walked
        if tree.left[node] >= 0:
            order += [int(tree.left[node]), int(tree.right[node])]
    return np.array(order)

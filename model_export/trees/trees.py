"""Fitted models of every kind in the neutral form."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from features.errors import ExportError
from model_export.trees.forest_trees import from_forest
from model_export.trees.lightgbm_trees import FittedLightgbm, from_lightgbm
from model_export.trees.neutral import ALL_CLASSES, Ensemble, Tree, leaf_of_nothing
from training.fit import (
    BINARY,
    LEAST_SHARE,
    Fitted,
    FittedForest,
    FittedXgboost,
    OrdinalForest,
    OrdinalXgboost,
    base_margin,
)

__all__ = ["ALL_CLASSES", "Ensemble", "Tree", "from_forest", "from_model", "from_xgboost", "leaf_of_nothing"]


def from_model(model: Fitted) -> Ensemble:
    """Read a fitted model.

    Raises:
        ExportError: the model has something that is not known to export faithfully; the message names it.

    """
    if isinstance(model, OrdinalXgboost):
        return _ordinal([from_xgboost(booster) for booster in model.boosters], 1)
    if isinstance(model, OrdinalForest):
        parts = [from_forest(estimator) for estimator in model.estimators]
        return _ordinal(parts if model.fills is None else [_unfilled(part, model.fills) for part in parts], 1)
    if isinstance(model, FittedXgboost):
        return from_xgboost(model.booster)
    if isinstance(model, FittedForest):
        return from_forest(model.estimator, model.order)
    if isinstance(model, FittedLightgbm):
        return from_lightgbm(model)
    raise ExportError(f"{type(model).__name__} is not a kind of model that is exported.")


def _ordinal(parts: list[Ensemble], better: int) -> Ensemble:
    """Put two-class ensembles together: of each what it says about its class number `better`."""
    trees = [
        replace(tree, target=target, value=tree.value[:, -1:])
        for target, part in enumerate(parts)
        for tree in part.trees
        if tree.target in (better, ALL_CLASSES)
    ]
    return Ensemble(
        features=parts[0].features,
        base_values=np.array([part.base_values[better] for part in parts], dtype=np.float32),
        trees=tuple(trees),
        least_probability=None if parts[0].least_probability is None else LEAST_SHARE,
        ordinal=True,
    )


def _unfilled(ensemble: Ensemble, fills: NDArray[np.float32]) -> Ensemble:
    """Send missing values where their fill, the least or the largest float, goes: left of every threshold or right."""
    trees = (replace(tree, missing_left=fills[tree.feature] < 0) for tree in ensemble.trees)
    return replace(ensemble, trees=tuple(trees))


def from_xgboost(booster: xgboost.Booster) -> Ensemble:
    """Read a booster from its own JSON.

    Raises:
        ExportError: the booster has something that is not known to export faithfully; the message names it.

    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    parameters = learner["learner_model_param"]
    _refuse_unfaithful(learner)
    model = learner["gradient_booster"]["model"]
    base = np.array(json.loads(parameters["base_score"]), dtype=np.float32).ravel()
    features = int(parameters["num_feature"])
    if learner["objective"]["name"] == BINARY:  # the margin of the worse class is 0
        trees = [leaf_of_nothing(0), *[_tree(t, 1) for t in model["trees"]]]
        base = np.array([0, base_margin(float(base[0]))], dtype=np.float32)
        return Ensemble(features=features, base_values=base, trees=tuple(trees))
    trees = [_tree(t, target) for t, target in zip(model["trees"], model["tree_info"], strict=True)]
    base = np.broadcast_to(base, (int(parameters["num_class"]),)).copy()
    return Ensemble(features=features, base_values=base, trees=tuple(trees))


def _refuse_unfaithful(learner: dict[str, Any]) -> None:
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]["name"]
    if objective not in ("multi:softprob", BINARY):
        raise ExportError(f"objective is {objective}, expected multi:softprob or {BINARY}. Train with one of these.")
    if booster != "gbtree":
        raise ExportError(f"booster is {booster}, expected gbtree: other boosters do not export faithfully.")
    model = learner["gradient_booster"]["model"]
    parallel = int(model["gbtree_model_param"]["num_parallel_tree"])
    if parallel != 1:
        raise ExportError(f"num_parallel_tree is {parallel}, expected 1: several trees a round change the weights.")
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in model["trees"]):
        raise ExportError("multi_output_tree models are not exported. Train with one_output_per_tree.")


def _tree(tree: dict[str, Any], target: int) -> Tree:
    if any(tree["split_type"]):
        raise ExportError(
            "the model has categorical splits. Train on the feature matrix, whose categories are numbers."
        )
    left = np.array(tree["left_children"], dtype=np.int64)
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    return Tree(
        target=target,
        inclusive=False,
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=conditions,
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        missing_left=np.array(tree["default_left"], dtype=bool),
        value=np.where(left < 0, conditions, np.float32(0))[:, None],
        cover=np.array(tree["sum_hessian"], dtype=np.float32),
    )

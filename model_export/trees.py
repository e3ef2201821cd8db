"""The neutral form of tree ensembles, through which every kind of model passes on its way to ONNX."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from features.errors import ExportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One binary tree in arrays, node 0 the root. A row goes to `left` where `x[feature] < threshold`.

    `left` is -1 in leaves. Missing values go left where `missing_left`. `value` is what a leaf adds to the margin of
    class `target`; `cover` is the weight of the training rows that reached a node.
    """

    target: int
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float32]
    cover: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Margins: for each class its base value plus the sum of its trees' leaves."""

    features: int
    base_values: NDArray[np.float32]
    trees: tuple[Tree, ...]


def from_xgboost(booster: xgboost.Booster) -> Ensemble:
    """Read a booster from its own JSON.

    Raises:
        ExportError: the booster has something that is not known to export faithfully; the message names it.

    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    parameters = learner["learner_model_param"]
    _refuse_unfaithful(learner)
    model = learner["gradient_booster"]["model"]
    classes = int(parameters["num_class"])
    trees = [_tree(t, target) for t, target in zip(model["trees"], model["tree_info"], strict=True)]
    base = np.array(json.loads(parameters["base_score"]), dtype=np.float32).ravel()
    return Ensemble(
        features=int(parameters["num_feature"]),
        base_values=np.broadcast_to(base, (classes,)).copy(),
        trees=tuple(trees),
    )


def _refuse_unfaithful(learner: dict[str, Any]) -> None:
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]["name"]
    if objective != "multi:softprob":
        raise ExportError(f"objective is {objective}, expected multi:softprob. Train with that objective.")
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
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=conditions,
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        missing_left=np.array(tree["default_left"], dtype=bool),
        value=np.where(left < 0, conditions, np.float32(0)),
        cover=np.array(tree["sum_hessian"], dtype=np.float32),
    )

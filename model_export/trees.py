"""The neutral form of tree ensembles, through which every kind of model passes on its way to ONNX."""

import json
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from sklearn.tree._tree import Tree as SklearnTree

from features.errors import ExportError
from training.fit import (
    BINARY,
    LEAST_PROBABILITY,
    LEAST_SHARE,
    Fitted,
    FittedForest,
    FittedXgboost,
    OrdinalForest,
    OrdinalXgboost,
)
from training.grow import base_margin

ALL_CLASSES = -1
_FORESTS = (RandomForestClassifier, ExtraTreesClassifier)
_SINGLE_TREES = (DecisionTreeClassifier, ExtraTreeClassifier)

Forest: TypeAlias = RandomForestClassifier | ExtraTreesClassifier | DecisionTreeClassifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One binary tree in arrays, node 0 the root.

    A row goes to `left` where `x[feature] < threshold`, or where `x[feature] <= threshold` if `inclusive`. An infinite
    inclusive threshold parts missing from present values.

    `left` is -1 in leaves. Missing values go left where `missing_left`. `value` (nodes x 1) is what a leaf adds to
    class `target`, or (nodes x classes) to each class where the target is `ALL_CLASSES`. `cover` is the weight of the
    training rows that reached a node.
    """

    target: int
    inclusive: bool
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float32]
    cover: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """For each target its base value plus the sum of its trees' leaves.

    A target is a class; or, where `ordinal`, what is better than a class, given at least that class, of every class but
    the best. The sums are margins; or, where `least_probability` is set, probabilities, and the margins are
    log(clip(p, least, 1)), in the ordinal form logit(clip(p, least, 1 - least)).
    """

    features: int
    base_values: NDArray[np.float32]
    trees: tuple[Tree, ...]
    least_probability: float | None = None
    ordinal: bool = False

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.base_values) + self.ordinal


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


def from_forest(estimator: Forest, order: tuple[int, ...] | None = None) -> Ensemble:
    """Read a random forest, extra trees, or a single tree of scikit-learn; `order` as in `FittedForest`.

    scikit-learn goes left where float32 x <= float64 t. That is x <= t', t' being the largest float32 that is not
    greater than t.

    Raises:
        ExportError: it is of another class, was fitted to several outputs, or a tree of it is damaged.

    """
    members, classes = check_forest(estimator), len(estimator.classes_)
    if order is None and estimator.classes_.tolist() != list(range(classes)):
        raise ExportError("the model's classes are not the indices 0, 1, 2 ... of the spec's classes, worst first.")
    columns = list(range(classes) if order is None else order)
    return Ensemble(
        features=estimator.n_features_in_,
        base_values=np.zeros(classes, dtype=np.float32),
        trees=tuple(_forest_tree(member.tree_, len(members), columns) for member in members),
        least_probability=LEAST_PROBABILITY,
    )


def check_forest(estimator: Forest) -> list[Any]:
    """Return the trees of a forest, or the one tree, checked; nothing of the estimator is run.

    Raises:
        ExportError: as `from_forest`.

    """
    if type(estimator) not in (*_FORESTS, *_SINGLE_TREES):
        raise ExportError(
            f"{type(estimator).__name__} is not exported. Use a random forest, extra trees or a decision tree."
        )
    if estimator.n_outputs_ != 1:
        raise ExportError(f"the model has {estimator.n_outputs_} outputs, expected 1.")
    members = list(estimator.estimators_) if type(estimator) in _FORESTS else [estimator]
    for member in members:
        _check_forest_tree(member, int(estimator.n_features_in_), len(estimator.classes_))
    return members


def _check_forest_tree(member: Any, features: int, classes: int) -> None:
    """Check that every node leads to two others behind it or is a leaf: scikit-learn follows them unchecked."""
    if type(member) not in _SINGLE_TREES or type(member.tree_) is not SklearnTree:
        raise ExportError("the model has a member that is no classification tree of scikit-learn.")
    tree = member.tree_
    left, right, nodes = tree.children_left, tree.children_right, np.arange(tree.node_count)
    inner = (left >= 0) | (right >= 0)
    children = np.concatenate([left[inner], right[inner]])
    sound = (
        tree.n_features == features
        and tree.value.shape == (tree.node_count, 1, classes)
        and (left[inner] > nodes[inner]).all()
        and (right[inner] > nodes[inner]).all()
        and np.array_equal(np.sort(children), nodes[1:])
        and ((tree.feature[inner] >= 0) & (tree.feature[inner] < features)).all()
        and np.isfinite(tree.value).all()
        and (tree.value.sum(axis=2) > 0).all()
    )
    if not sound:
        raise ExportError("a tree of the model is damaged: its nodes do not form a tree. Save the model again.")


def _forest_tree(tree: Any, members: int, columns: list[int]) -> Tree:
    leaf = tree.children_left < 0
    nearest = tree.threshold.astype(np.float32)
    below = np.where(nearest.astype(np.float64) <= tree.threshold, nearest, np.nextafter(nearest, np.float32(-np.inf)))
    shares = (tree.value[:, 0, :] / tree.value[:, 0, :].sum(axis=1, keepdims=True))[:, columns]
    return Tree(
        target=ALL_CLASSES,
        inclusive=True,
        feature=np.where(leaf, 0, tree.feature).astype(np.int64),
        threshold=np.where(leaf, np.float32(0), below),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        missing_left=tree.missing_go_to_left.astype(bool),
        value=np.where(leaf[:, None], shares / members, 0).astype(np.float32),
        cover=tree.weighted_n_node_samples.astype(np.float32),
    )


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


def leaf_of_nothing(target: int) -> Tree:
    """Return a tree that is one leaf and adds nothing."""
    zero, none = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.float32)
    return Tree(
        target=target,
        inclusive=False,
        feature=zero,
        threshold=none,
        left=zero - 1,
        right=zero - 1,
        missing_left=np.zeros(1, dtype=bool),
        value=none[:, None],
        cover=none,
    )


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

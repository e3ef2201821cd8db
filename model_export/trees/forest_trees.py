"""Forests and trees of scikit-learn in the neutral form, checked node by node."""

from typing import Any, TypeAlias

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from sklearn.tree._tree import Tree as SklearnTree

from features.errors import ExportError
from model_export.trees.neutral import ALL_CLASSES, Ensemble, Tree
from training.fit import LEAST_PROBABILITY

_FORESTS = (RandomForestClassifier, ExtraTreesClassifier)
_SINGLE_TREES = (DecisionTreeClassifier, ExtraTreeClassifier)

Forest: TypeAlias = RandomForestClassifier | ExtraTreesClassifier | DecisionTreeClassifier


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
        doubles=True,
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
        value=np.where(leaf[:, None], shares / members, 0.0),
        cover=tree.weighted_n_node_samples.astype(np.float32),
    )

"""XGBoost's own JSON of a booster: trees written by hand, a linear start before the trees, leaves with exact sums."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from training.fit.linear import Linear, Steps

NO_VALUE = -1.7e38  # every value is above it
_NO_PARENT = 2**31 - 1
_NO_CATEGORIES: dict[str, Any] = {
    name: [] for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes")
}
_NOTHING_DELETED = {"num_deleted": "0", "size_leaf_vector": "1"}


def tree_json(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    content: dict[str, NDArray[Any]],
    features: int,
) -> dict[str, Any]:
    """Return a tree of scalar leaves, whose right children follow their left ones.

    `content` holds by node: `conditions` (thresholds, values of leaves), `feature`, `missing_left`, `cover`.
    """
    nodes, inner = len(left), left >= 0
    parents = np.full(nodes, _NO_PARENT)
    for side in (left, right):
        parents[side[inner]] = np.flatnonzero(inner)
    return {
        **_NO_CATEGORIES,
        "base_weights": np.where(inner, 0, content["conditions"]).tolist(),
        "default_left": content["missing_left"].astype(int).tolist(),
        "left_children": left.tolist(),
        "loss_changes": [0.0] * nodes,
        "parents": parents.tolist(),
        "right_children": right.tolist(),
        "split_conditions": content["conditions"].astype(np.float32).tolist(),
        "split_indices": content["feature"].tolist(),
        "split_type": [0] * nodes,
        "sum_hessian": content["cover"].tolist(),
        "tree_param": {**_NOTHING_DELETED, "num_feature": str(features), "num_nodes": str(nodes)},
    }


def steps_json(feature: int, part: Steps, base: float, features: int) -> dict[str, Any]:
    """Return a feature's part of a linear start, and `base`, as a balanced tree."""
    nodes: list[list[float]] = []  # left, right, condition, missing_left, cover
    cover = part.counts.copy()
    if not part.tells_missing:
        cover[part.place] += part.absent
    waiting: list[tuple[int, int]] = [(0, len(part.values))]
    if part.tells_missing:
        nodes += [[1, 2, NO_VALUE, 1, part.absent + cover.sum()], [-1, -1, part.missing + base, 0, part.absent]]
    first = len(nodes)
    for low, high in waiting:  # grows while it is walked
        if high - low == 1:
            nodes.append([-1, -1, part.values[low] + base, 0, cover[low]])
            continue
        middle, child = (low + high) // 2, first + len(waiting)
        nodes.append([child, child + 1, part.edges[middle - 1], part.place < middle, cover[low:high].sum()])
        waiting += [(low, middle), (middle, high)]
    left, right, conditions, missing_left, covers = np.array(nodes, dtype=np.float64).T
    content = {
        "conditions": conditions,
        "feature": np.where(left >= 0, feature, 0),
        "missing_left": missing_left,
        "cover": covers,
    }
    return tree_json(left.astype(np.int64), right.astype(np.int64), content, features)


def with_start(booster: xgboost.Booster, start: Linear) -> xgboost.Booster:
    """Put a linear start before the trees that were grown from it: the booster then states it by itself."""
    content = json.loads(bytes(booster.save_raw("json")))
    learner = content["learner"]
    model, features = learner["gradient_booster"]["model"], int(learner["learner_model_param"]["num_feature"])
    trees = [*_start_trees(start, features), *model["trees"]]
    model["trees"] = [{**tree, "id": i} for i, tree in enumerate(trees)]
    model["tree_info"] = [0] * len(trees)
    model["iteration_indptr"] = list(range(len(trees) + 1))
    model["gbtree_model_param"]["num_trees"] = str(len(trees))
    learner["learner_model_param"]["base_score"] = "[5E-1]"
    return loaded(content)


def _start_trees(start: Linear, features: int) -> Iterator[dict[str, Any]]:
    base = start.base
    for feature, part in start.parts.items():
        yield steps_json(feature, part, base, features)
        base = 0.0


def with_exact_leaves(booster: xgboost.Booster) -> xgboost.Booster:
    """Return the same booster with leaves rounded so that sums are exact; the first tree takes the base value over."""
    content = json.loads(bytes(booster.save_raw("json")))
    learner = content["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    base = base_margin(json.loads(learner["learner_model_param"]["base_score"])[0])
    learner["learner_model_param"]["base_score"] = "[5E-1]"
    leaves = [np.array(tree["left_children"]) < 0 for tree in trees]
    values = [np.array(tree["split_conditions"], dtype=np.float64) for tree in trees]
    if trees:
        values[0] = np.where(leaves[0], values[0] + base, values[0])
    largest = sum(float(np.abs(value[leaf]).max()) for value, leaf in zip(values, leaves, strict=True))
    step = 2.0 ** (np.ceil(np.log2(max(largest, 2.0**-20))) - 23)  # sums stay below 2^24 steps, with a bit to spare
    for tree, leaf, value in zip(trees, leaves, values, strict=True):
        rounded = np.where(leaf, np.rint(value / step) * step, value)
        tree["split_conditions"] = rounded.tolist()
        weights = np.array(tree["base_weights"], dtype=np.float64)
        tree["base_weights"] = np.where(leaf, rounded, weights).tolist()
    return loaded(content)


def loaded(content: dict[str, Any]) -> xgboost.Booster:
    """Return the booster of such a content."""
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(json.dumps(content).encode()))
    return booster


def base_margin(base_score: float) -> np.float32:
    """Return the margin of a base score as XGBoost forms it, in float32: -log(1 / b - 1)."""
    one = np.float32(1)
    with np.errstate(divide="ignore"):  # infinite at 0 and 1
        return np.float32(-np.log(one / np.float32(base_score) - one))

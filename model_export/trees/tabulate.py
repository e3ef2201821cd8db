"""Exact path-dependent TreeSHAP values as tables, from the neutral form of the trees."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from model_export.trees.shapley import leaf_values
from model_export.trees.trees import ALL_CLASSES, Ensemble, Tree
from scoring.reasons import GROUP_CONDITIONS, ShapTables

MOST_BYTES = 128 * 2**20
_LARGEST_SUM = 2**31 - 1
_LEAST_STEP = -60

Floats = NDArray[np.float64]
Condition = tuple[int, bool, float]  # feature, whether it is x >= threshold (else x < threshold), threshold


@dataclass(frozen=True, slots=True)
class _Step:
    """One node on the way to a leaf: its condition, whether the leaf needs it to hold, and the share of the cover."""

    condition: Condition
    holds: bool
    share: float


@dataclass(frozen=True, slots=True)
class _Group:
    """Conditions, and for each (feature, class) what every pattern of them gives."""

    conditions: tuple[Condition, ...]
    tables: dict[tuple[int, int], Floats]


def tabulate(ensemble: Ensemble, scale: NDArray[np.float32]) -> ShapTables:
    """Build the tables. `scale` is the calibration's, one per target; it counts where raw scores are margins.

    Raises:
        ExportError: a tree is too deep, or the tables would take more than 128 MiB.

    """
    classes = len(ensemble.base_values)
    groups, base, size = [], ensemble.base_values.astype(np.float64), 0
    for tree in ensemble.trees:
        base += _expected(tree, 0, classes)
        for group in _groups(tree, 0, (), classes):
            size += sum(4 * len(table) for table in group.tables.values())
            if size > MOST_BYTES:
                raise ExportError(
                    f"the tables for reasons would take more than {MOST_BYTES // 2**20} MiB. Train with fewer or "
                    "shallower trees: max_depth 6 and max_leaves 16 cost little quality."
                )
            groups.append(group)
    margins = ensemble.least_probability is None
    tables = _pack(groups, base, scale.astype(np.float64) if margins else np.ones(classes), ensemble.features)
    return replace(tables, ordinal=np.array(ensemble.ordinal))


def _expected(tree: Tree, node: int, classes: int) -> Floats:
    """Return what a subtree adds to each class on average, each child weighted by its share of the cover."""
    if tree.left[node] < 0:
        return _leaf(tree, node, classes)
    children = int(tree.left[node]), int(tree.right[node])
    left, right = (_share(tree, node, child) * _expected(tree, child, classes) for child in children)
    return left + right


def _leaf(tree: Tree, node: int, classes: int) -> Floats:
    if tree.target == ALL_CLASSES:
        return np.asarray(tree.value[node], dtype=np.float64)
    values = np.zeros(classes)
    values[tree.target] = tree.value[node, 0]
    return values


def _share(tree: Tree, node: int, child: int) -> float:
    if not tree.cover[node] > 0:
        raise ExportError("a tree has a split that no training row reached, so its contributions are not defined.")
    return float(tree.cover[child]) / float(tree.cover[node])


def _condition(tree: Tree, node: int) -> Condition:
    """Return the condition by which a row leaves `node` to the left, or, where missing goes left, to the right."""
    threshold = tree.threshold[node]
    if tree.inclusive:
        threshold = np.nextafter(threshold, np.float32(np.inf))
    return int(tree.feature[node]), bool(tree.missing_left[node]), float(threshold)


def _groups(tree: Tree, node: int, path: tuple[_Step, ...], classes: int) -> Iterator[_Group]:
    """Cut the subtree at `node` into groups of at most eight conditions, those of `path` among them."""
    conditions = tuple(dict.fromkeys([*[step.condition for step in path], *_inner(tree, node)]))
    if len(conditions) <= GROUP_CONDITIONS:
        yield _tabulated(tree, node, path, conditions, classes)
        return
    if tree.left[node] < 0:
        raise ExportError(
            f"a tree is {len(path)} splits deep; reasons need at most {GROUP_CONDITIONS}. Train with max_depth 6."
        )
    for child, step in _children(tree, node):
        yield from _groups(tree, child, (*path, step), classes)


def _inner(tree: Tree, node: int) -> Iterator[Condition]:
    if tree.left[node] >= 0:
        yield _condition(tree, node)
        yield from _inner(tree, int(tree.left[node]))
        yield from _inner(tree, int(tree.right[node]))


def _children(tree: Tree, node: int) -> Iterator[tuple[int, _Step]]:
    condition, left, right = _condition(tree, node), int(tree.left[node]), int(tree.right[node])
    goes_right = bool(tree.missing_left[node])  # the condition is then x >= threshold
    yield left, _Step(condition, not goes_right, _share(tree, node, left))
    yield right, _Step(condition, goes_right, _share(tree, node, right))


def _leaves(tree: Tree, node: int, path: tuple[_Step, ...]) -> Iterator[tuple[int, tuple[_Step, ...]]]:
    if tree.left[node] < 0:
        yield node, path
        return
    for child, step in _children(tree, node):
        yield from _leaves(tree, child, (*path, step))


def _tabulated(
    tree: Tree, node: int, path: tuple[_Step, ...], conditions: tuple[Condition, ...], classes: int
) -> _Group:
    places = {condition: place for place, condition in enumerate(conditions)}
    patterns = np.arange(1 << len(conditions))
    tables: dict[tuple[int, int], Floats] = {}
    for leaf, steps in _leaves(tree, node, path):
        values = _leaf(tree, leaf, classes)
        for feature, shares in _shapley(steps, places, patterns):
            for number in np.flatnonzero(values):
                table = tables.setdefault((feature, int(number)), np.zeros(len(patterns)))
                table += shares * values[number]
    return _Group(conditions, {key: table for key, table in tables.items() if table.any()})


def _shapley(
    steps: tuple[_Step, ...], places: dict[Condition, int], patterns: NDArray[np.int64]
) -> Iterator[tuple[int, Floats]]:
    """Yield for each feature of a path its share of the leaf's value, for every pattern of conditions.

    Conditions of one feature count as one: it matches where all hold, and its cover is the product of theirs.
    """
    features = list(dict.fromkeys(step.condition[0] for step in steps))
    zeros, matches = np.ones(len(features)), np.zeros(len(patterns), dtype=np.int64)
    for i, feature in enumerate(features):
        holds = np.ones(len(patterns), dtype=bool)
        for step in steps:
            if step.condition[0] == feature:
                zeros[i] *= step.share
                holds &= ((patterns >> places[step.condition]) & 1) == step.holds
        matches |= holds.astype(np.int64) << i
    table = leaf_values(zeros)
    for i, feature in enumerate(features):
        yield feature, table[matches, i]


def _pack(groups: list[_Group], base: Floats, scale: Floats, features: int) -> ShapTables:
    """Number conditions and entries, and round the tables to multiples of the least step at which no sum overflows."""
    conditions = sorted({condition for group in groups for condition in group.conditions})
    places = {condition: place for place, condition in enumerate(conditions)}
    group_conditions = np.full((len(groups), GROUP_CONDITIONS), len(conditions), dtype=np.int32)
    entries = []
    for number, group in enumerate(groups):
        group_conditions[number, : len(group.conditions)] = [places[condition] for condition in group.conditions]
        entries += [(number, feature, target, table) for (feature, target), table in sorted(group.tables.items())]
    step = _step([(feature, target, table) for _, feature, target, table in entries])
    rounded = [np.rint(table / step).astype(np.int32) for *_, table in entries]
    columns = np.array([entry[:3] for entry in entries], dtype=np.int32).reshape(-1, 3)
    starts = np.cumsum([0, *[len(table) for table in rounded]])[:-1]
    return ShapTables(
        shape=np.array([features, len(base)], dtype=np.int32),
        condition_feature=np.array([c[0] for c in conditions], dtype=np.int32),
        threshold=np.array([c[2] for c in conditions], dtype=np.float32),
        at_least=np.array([c[1] for c in conditions], dtype=np.bool_),
        group_conditions=group_conditions,
        entry_group=columns[:, 0].copy(),
        entry_feature=columns[:, 1].copy(),
        entry_class=columns[:, 2].copy(),
        entry_start=starts.astype(np.int32),
        table=np.concatenate([np.zeros(0, dtype=np.int32), *rounded]),
        step=np.array(step),
        base_values=base,
        scale=scale,
    )


def _step(entries: list[tuple[int, int, Floats]]) -> float:
    """Return the least power of two by which no sum over the groups can leave 32 bits, with a bit to spare."""
    bounds: dict[tuple[int, int], float] = {}
    for feature, target, table in entries:
        bounds[feature, target] = bounds.get((feature, target), 0.0) + float(np.abs(table).max())
    largest = max(bounds.values(), default=0.0)
    exponent = np.ceil(np.log2(largest / _LARGEST_SUM)) + 1 if largest > 0 else _LEAST_STEP
    return float(2.0 ** max(exponent, _LEAST_STEP))

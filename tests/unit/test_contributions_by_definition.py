"""Contributions of any tree are Shapley's values, computed from their definition."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_export.trees.tabulate import tabulate
from model_export.trees.trees import Ensemble, Tree
from tests.contribution_parts import TOLERANCE, Floats


@dataclass(frozen=True)
class Node:
    """A tree as the oracle knows it: a leaf has a value, a split has the rest."""

    value: float = 0.0
    feature: int = -1
    threshold: float = 0.0
    missing_left: bool = False
    children: tuple["Node", ...] = ()
    cover: float = 1.0


def expectation(node: Node, row: Floats, known: frozenset[int]) -> float:
    """The path-dependent expectation, straight from its definition (Lundberg et al. 2018, algorithm 1)."""
    if not node.children:
        return node.value
    left, right = node.children
    if node.feature not in known:
        parts = left.cover * expectation(left, row, known) + right.cover * expectation(right, row, known)
        return parts / node.cover
    x = row[node.feature]
    goes_left = node.missing_left if np.isnan(x) else x < node.threshold
    return expectation(left if goes_left else right, row, known)


def by_definition(node: Node, row: Floats) -> NDArray[np.float64]:
    """Shapley's formula over all sets of features."""
    count = len(row)
    values = np.zeros(count)
    for i in range(count):
        rest = [j for j in range(count) if j != i]
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for subset in itertools.combinations(rest, size):
                gain = expectation(node, row, frozenset(subset) | {i}) - expectation(node, row, frozenset(subset))
                values[i] += weight * gain
    return values


@st.composite
def nodes(draw: st.DrawFn, depth: int = 5) -> Node:
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return Node(value=draw(st.integers(-8, 8)) / 4, cover=draw(st.integers(1, 50)))
    children = (draw(nodes(depth - 1)), draw(nodes(depth - 1)))
    return Node(
        feature=draw(st.integers(0, 3)),
        threshold=draw(st.integers(-2, 2)),
        missing_left=draw(st.booleans()),
        children=children,
        cover=children[0].cover + children[1].cover,
    )


def flatten(root: Node) -> Tree:
    order: list[Node] = []

    def visit(node: Node) -> Iterator[Node]:
        yield node
        for child in node.children:
            yield from visit(child)

    order = list(visit(root))
    place = {id(node): i for i, node in enumerate(order)}

    def child(node: Node, side: int) -> int:
        return place[id(node.children[side])] if node.children else -1

    return Tree(
        target=0,
        inclusive=False,
        feature=np.array([max(n.feature, 0) for n in order]),
        threshold=np.array([n.threshold for n in order], dtype=np.float32),
        left=np.array([child(n, 0) for n in order]),
        right=np.array([child(n, 1) for n in order]),
        missing_left=np.array([n.missing_left for n in order]),
        value=np.array([[n.value] for n in order], dtype=np.float32),
        cover=np.array([n.cover for n in order], dtype=np.float32),
    )


@given(nodes(), st.lists(st.lists(st.sampled_from([-3, -1, 0, 1, 2, np.nan]), min_size=4, max_size=4), min_size=1))
def test_any_tree_gets_the_values_of_the_definition(root: Node, rows: list[list[float]]) -> None:
    """Repeated features on a path, missing values both ways, trees cut into several groups."""
    base = np.zeros(2, dtype=np.float32)
    tables = tabulate(Ensemble(features=4, base_values=base, trees=(flatten(root),)), np.ones(2, dtype=np.float32))
    matrix = np.array(rows, dtype=np.float32)
    found = tables.contributions(matrix)[:, :, 0]
    for row, values in zip(matrix, found, strict=True):
        assert np.abs(values - by_definition(root, row)).max() <= TOLERANCE

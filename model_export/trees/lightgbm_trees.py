"""A LightGBM model as its text states it: predicted in doubles, as LightGBM does, and put into the neutral form."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from model_export.trees.neutral import Ensemble, Tree, leaf_of_nothing

ZERO_MISSING, NAN_MISSING = 1, 2  # what a split takes for missing; 0: nothing, NaN then counts as 0
_NEAR_ZERO = np.float32(1e-35)  # LightGBM takes all numbers this near to 0 for 0
_BELOW = np.nextafter(-_NEAR_ZERO, np.float32(-np.inf))
_BLOCK = 2**18  # places, of a row in a tree, that are followed at once

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTree:
    """One tree in arrays: inner nodes, then leaves; node 0 the root; `left` and `right` are -1 in leaves.

    `rows` counts the rows of training that reached a node.
    """

    feature: NDArray[np.int64]
    threshold: Floats
    missing: NDArray[np.int64]
    default_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats
    rows: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FittedLightgbm:
    """A model of LightGBM, trained elsewhere: trees round by round, in each round one for each margin.

    `averaged` (LightGBM's boosting=rf): the margins are means over the rounds, else sums. Of two classes the margin of
    the worse is 0.
    """

    trees: tuple[TextTree, ...]
    features: int
    trees_a_round: int
    averaged: bool
    kind: str = "lightgbm"
    ordinal: bool = False

    @property
    def rounds(self) -> int:
        """Count the rounds."""
        return len(self.trees) // self.trees_a_round

    def margins(self, matrix: NDArray[np.float32]) -> Floats:
        """Return the raw scores, one column per class, worst first."""
        size = max(1, _BLOCK // len(self.trees))
        blocks = [matrix[start : start + size] for start in range(0, max(1, len(matrix)), size)]
        return np.concatenate([self.margins_by_round(block)[-1] for block in blocks])

    def margins_by_round(self, matrix: NDArray[np.float32]) -> Floats:
        """Return rounds x rows x classes: the raw scores after the first round, after the second, and so on."""
        rows = matrix.astype(np.float64)
        rows[np.abs(rows) <= _NEAR_ZERO] = 0
        found = np.cumsum(self._leaves(rows).reshape(self.rounds, self.trees_a_round, len(rows)), axis=0)
        if self.averaged:
            found /= np.arange(1, self.rounds + 1)[:, None, None]
        if self.trees_a_round == 1:
            found = np.concatenate([np.zeros_like(found), found], axis=1)
        return np.swapaxes(found, 1, 2)

    def _leaves(self, rows: Floats) -> Floats:
        """Return for each tree and row the value of the leaf, found as LightGBM's NumericalDecision finds it."""
        trees, roots = self._joined
        at = np.repeat(roots, len(rows))
        walking = np.arange(len(at))
        while len(walking := walking[trees.left[at[walking]] >= 0]):
            node = at[walking]
            x, missing = rows[walking % len(rows), trees.feature[node]], trees.missing[node]
            x = np.where(np.isnan(x) & (missing != NAN_MISSING), 0.0, x)
            is_missing = np.where(missing == ZERO_MISSING, x == 0, np.isnan(x))
            goes_left = np.where(is_missing, trees.default_left[node], x <= trees.threshold[node])
            at[walking] = np.where(goes_left, trees.left[node], trees.right[node])
        return trees.value[at]

    @cached_property
    def _joined(self) -> tuple[TextTree, NDArray[np.int64]]:
        """All trees as one table of nodes, and where in it their roots are."""
        sizes = [len(tree.left) for tree in self.trees]
        roots = np.cumsum([0, *sizes[:-1]])
        shift = np.repeat(roots, sizes)
        joined = {
            field.name: np.concatenate([getattr(tree, field.name) for tree in self.trees]) for field in fields(TextTree)
        }
        for side in ("left", "right"):
            joined[side] = np.where(joined[side] < 0, -1, joined[side] + shift)
        return TextTree(**joined), roots


def from_lightgbm(model: FittedLightgbm) -> Ensemble:
    """Read a model of LightGBM.

    Raises:
        ExportError: a split sends 0 to another side than the numbers on both sides of it.

    """
    two = model.trees_a_round == 1
    members = model.rounds if model.averaged else 1
    trees = [
        _neutral(tree, 1 if two else number % model.trees_a_round, members) for number, tree in enumerate(model.trees)
    ]
    return Ensemble(
        features=model.features,
        base_values=np.zeros(max(2, model.trees_a_round), dtype=np.float32),
        trees=(leaf_of_nothing(0), *trees) if two else tuple(trees),
        doubles=True,
    )


def _neutral(tree: TextTree, target: int, members: int) -> Tree:
    """Return a tree of x <= t' for float32 x: t' is the largest float32 that is not greater than LightGBM's threshold.

    All numbers near 0 go where 0 goes, so no threshold may lie among them. Numbers that float32 does not reach, with
    which LightGBM parts missing values from all others, become infinite.
    """
    inner = tree.left >= 0
    zero_left = np.where(tree.missing == ZERO_MISSING, tree.default_left, tree.threshold >= 0)
    below = _float32_below(tree.threshold)
    if (inner & np.where(zero_left, below < _BELOW, below > _NEAR_ZERO)).any():
        raise ExportError(
            "the model was trained with zero_as_missing, and a split sends 0 to another side than the numbers next to "
            "it, which one threshold cannot say. Leave missing values NaN, and train with zero_as_missing=false."
        )
    threshold = np.where(zero_left, np.maximum(below, _NEAR_ZERO), np.minimum(below, _BELOW))
    return Tree(
        target=target,
        inclusive=True,
        feature=tree.feature,
        threshold=np.where(inner, threshold, np.float32(0)),
        left=tree.left,
        right=tree.right,
        missing_left=np.where(tree.missing == NAN_MISSING, tree.default_left, zero_left),
        value=(tree.value / members)[:, None],
        cover=tree.rows.astype(np.float32),
    )


def _float32_below(numbers: Floats) -> NDArray[np.float32]:
    """Return for each the largest float32 that is not greater; infinity where no float32 is greater."""
    with np.errstate(over="ignore"):
        nearest = numbers.astype(np.float32)
    below = np.where(nearest <= numbers, nearest, np.nextafter(nearest, np.float32(-np.inf)))
    return np.where(below == np.finfo(np.float32).max, np.float32(np.inf), below)

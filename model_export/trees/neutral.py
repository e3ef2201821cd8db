"""The neutral form of tree ensembles, through which every kind of model passes on its way to ONNX."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALL_CLASSES = -1


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
    value: NDArray[np.float32] | NDArray[np.float64]
    cover: NDArray[np.float32]

    @property
    def is_nothing(self) -> bool:
        """Whether this stands in for a class that has no trees, see `leaf_of_nothing`."""
        return len(self.left) == 1 and not self.cover[0] and not self.value.any()

    @property
    def depth(self) -> int:
        """The number of conditions on the longest path."""
        level, depth = np.zeros(1, dtype=np.int64), 0
        while len(inner := level[self.left[level] >= 0]):
            level, depth = np.concatenate([self.left[inner], self.right[inner]]), depth + 1
        return depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """For each target its base value plus the sum of its trees' leaves.

    A target is a class; or, where `ordinal`, what is better than a class, given at least that class, of every class but
    the best. The sums are margins; or, where `least_probability` is set, probabilities, and the margins are
    log(clip(p, least, 1)), in the ordinal form logit(clip(p, least, 1 - least)).

    Where `doubles`, leaves are doubles, and their sum is rounded to float32 once; else each step of it is float32.
    """

    features: int
    base_values: NDArray[np.float32]
    trees: tuple[Tree, ...]
    least_probability: float | None = None
    ordinal: bool = False
    doubles: bool = False

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.base_values) + self.ordinal


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

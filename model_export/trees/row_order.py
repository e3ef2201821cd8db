"""The conditions by which rows are put in order before trees are walked; see `scoring.model`."""

from collections import defaultdict

import numpy as np

from model_export.trees.trees import Ensemble

MOST_CONDITIONS = 16


def row_order(ensemble: Ensemble) -> list[tuple[int, float]]:
    """Return the conditions (feature, threshold) that part most rows, over all nodes that ask them; the first is first.

    A node parts as many rows as reach its smaller child. Infinite thresholds part only missing from present values and
    are left out.
    """
    parted: dict[tuple[int, float], float] = defaultdict(float)
    for tree in ensemble.trees:
        for node in np.flatnonzero((tree.left >= 0) & np.isfinite(tree.threshold)):
            children = tree.cover[[tree.left[node], tree.right[node]]]
            parted[int(tree.feature[node]), float(tree.threshold[node])] += float(children.min() / tree.cover[0])
    return sorted(parted, key=lambda condition: (-parted[condition], condition))[:MOST_CONDITIONS]

"""Quantiles of each feature: what explanations by perturbation draw their neighbours from, without anybody's row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Spec

_LEVELS = np.linspace(0.01, 0.99, 21)  # not the ends: the largest income belongs to somebody


def background(matrix: NDArray[np.float32], spec: Spec) -> dict[str, dict[str, Any]]:
    """Return for each feature its share of missing values and 21 quantiles of the others."""
    found = {}
    for i, feature in enumerate(list_features(spec)):
        column = matrix[:, i].astype(np.float64)
        present = column[~np.isnan(column)]
        quantiles = np.quantile(present, _LEVELS, method="nearest") if len(present) else np.empty(0)
        found[feature.name] = {
            "missing": round(1 - len(present) / max(len(column), 1), 4),
            "quantiles": [float(f"{value:.6g}") for value in quantiles],
        }
    return found


def draw(found: dict[str, dict[str, Any]], names: list[str], rows: int, seed: int) -> NDArray[np.float32]:
    """Draw each feature by itself; features that go together do not stay together."""
    generator = np.random.default_rng(seed)
    matrix = np.full((rows, len(names)), np.nan, dtype=np.float32)
    for i, name in enumerate(names):
        quantiles = np.array(found[name]["quantiles"], dtype=np.float32)
        present = generator.random(rows) >= found[name]["missing"]
        if len(quantiles):
            matrix[present, i] = generator.choice(quantiles, int(present.sum()))
    return matrix

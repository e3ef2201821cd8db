"""What the tests of contributions share: a scale of ones, and rows at each threshold, with holes and infinities."""

import numpy as np
from numpy.typing import NDArray

from model_export.adversarial import adversarial_cases, finite
from model_export.trees.trees import Ensemble

Floats = NDArray[np.float32]

TOLERANCE = 1e-5


def ones(ensemble: Ensemble) -> Floats:
    return np.ones(len(ensemble.base_values), dtype=np.float32)


def adversarial_rows(ensemble: Ensemble, most: int = 600) -> Floats:
    """Thresholds and their neighbours, missing values, infinities as the largest floats; and rows mostly missing."""
    rows = finite(np.concatenate([case.rows for case in adversarial_cases(ensemble, seed=3)]))
    generator = np.random.default_rng(3)
    rows = rows[generator.permutation(len(rows))[:most]]
    holes = rows.copy()
    holes[generator.random(holes.shape) < 0.4] = np.nan
    return np.concatenate([rows, holes])

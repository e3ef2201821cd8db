"""Rows on which converters go wrong: missing values, thresholds and their neighbours, infinities, empty categories."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.trees.trees import Ensemble

Floats = NDArray[np.float32]
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True, slots=True)
class Case:
    """Rows of one kind and, for messages, the feature (index, or -1 for all) that each row turns on."""

    kind: str
    rows: Floats
    feature: NDArray[np.int64]


def adversarial_cases(ensemble: Ensemble, seed: int = 0) -> list[Case]:
    """Make rows that turn on one feature each, on a background drawn from the model's own thresholds."""
    generator = np.random.default_rng(seed)
    features = np.arange(ensemble.features)
    splits = _splits(ensemble)
    background = _background(splits, ensemble.features, 64, generator)

    def case(kind: str, turned: NDArray[np.int64], values: Floats) -> Case:
        rows = background[generator.integers(0, len(background), len(turned))].copy()
        rows[np.arange(len(turned)), turned] = values
        return Case(kind, rows, turned)

    feature, threshold = splits[:, 0].astype(np.int64), splits[:, 1].astype(np.float32)
    constants = {"missing": np.nan, "infinity": np.inf, "-infinity": -np.inf, "zero": 0, "-zero": -0.0}
    made = [
        *[case(kind, features, np.full(len(features), value, np.float32)) for kind, value in constants.items()],
        case("threshold", feature, threshold),
        case("just below threshold", feature, np.nextafter(threshold, np.float32(-np.inf))),
        case("just above threshold", feature, np.nextafter(threshold, np.float32(np.inf))),
        Case("background", background, np.full(len(background), -1)),
        Case("all missing", np.full((1, ensemble.features), np.nan, np.float32), np.array([-1])),
        Case("all zero: categories never seen", np.zeros((1, ensemble.features), np.float32), np.array([-1])),
    ]
    return [some for some in made if len(some.rows)]  # a model without any split has no thresholds


def _splits(ensemble: Ensemble) -> NDArray[np.float64]:
    """List every distinct (feature, threshold) of the ensemble."""
    pairs = [np.column_stack([t.feature, t.threshold])[t.left >= 0] for t in ensemble.trees]
    return np.unique(np.concatenate(pairs), axis=0) if pairs else np.zeros((0, 2))


def _background(splits: NDArray[np.float64], features: int, rows: int, generator: np.random.Generator) -> Floats:
    """Draw each feature from its thresholds, a little beside them, or missing: invented rows, never a customer's."""
    background = np.zeros((rows, features), dtype=np.float32)
    for feature in range(features):
        thresholds = splits[(splits[:, 0] == feature) & np.isfinite(splits[:, 1]), 1]
        if len(thresholds):
            background[:, feature] = generator.choice(thresholds, rows) * generator.uniform(0.9, 1.1, rows)
    background[generator.random(background.shape) < 0.1] = np.nan
    return background


def finite(rows: Floats) -> Floats:
    """Replace infinities by the largest floats, which take the same side of every finite threshold."""
    return np.clip(rows, -_LARGEST, _LARGEST)

"""Signs of a leak: shared customers, equal rows on both sides, a feature that decides alone, a gap to the training."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.telling import TELLING, telling
from metrics import auc, log_losses, weighted_mean
from training.data import Examples, Split
from training.evaluate.judged import Judged

_SUSPICIOUS = 0.95
_SHOWN, _MOST_ROWS = 5, 20_000


def leaks(
    split: Split, judged: Judged, train_probabilities: NDArray[np.float32], fold_of: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Return what was looked for and what was found; where everybody was judged, between the folds."""
    by_folds = fold_of is not None and len(judged.examples) == len(split.train)
    return {
        **(_between_folds(split.train, fold_of) if by_folds and fold_of is not None else _between_sides(split)),
        "single_features": _single_features(judged),
        "suspicious_from": _SUSPICIOUS,
        "telling": list(_telling(judged)),
        "log_loss": {
            "train": _log_loss(train_probabilities, split.train),
            "test": _log_loss(judged.probabilities, judged.examples),
        },
    }


def _between_sides(split: Split) -> dict[str, Any]:
    learned = split.train if len(split.train) else split.calibration
    known = {row.tobytes() for row in split.train.matrix}
    return {
        "shared_customers": {"learned and judged": len(np.intersect1d(learned.customers, split.test.customers))},
        "test_rows_equal_to_a_training_row": sum(row.tobytes() in known for row in split.test.matrix),
    }


def _between_folds(examples: Examples, fold_of: NDArray[np.int64]) -> dict[str, Any]:
    pairs = np.unique(np.column_stack([examples.customers, fold_of]), axis=0)
    folds_of_row: dict[bytes, set[int]] = {}
    for row, fold in zip(examples.matrix, fold_of.tolist(), strict=True):
        folds_of_row.setdefault(row.tobytes(), set()).add(fold)
    return {
        "shared_customers": {"two folds": len(pairs) - len(np.unique(examples.customers))},
        "test_rows_equal_to_a_training_row": sum(len(folds_of_row[row.tobytes()]) > 1 for row in examples.matrix),
    }


def _telling(judged: Judged) -> Iterator[dict[str, Any]]:
    """Yield the columns that tell a class by themselves, out of fold; the categories of an attribute are one column."""
    every = max(1, -(-len(judged.examples) // _MOST_ROWS))
    matrix, actual = judged.examples.matrix[::every], judged.examples.actual[::every]
    customers = judged.examples.customers[::every]
    columns: dict[str, list[int]] = {}
    for i, feature in enumerate(list_features(judged.spec)):
        columns.setdefault(feature.name.partition("=")[0], []).append(i)
    for name, own in columns.items():
        some = matrix[:, own]
        column = some[:, 0] if len(own) == 1 else np.where((some == 1).any(axis=1), (some == 1).argmax(axis=1), -1)
        area = telling(column, actual, customers) if len(actual) else 0.5
        if area >= TELLING:
            yield {"column": name, "auc": round(area, 4)}


def _single_features(judged: Judged) -> list[dict[str, Any]]:
    """Return the features that alone part the best or the worst class from the others best, by AUC."""
    classes, actual = judged.spec.classes, judged.examples.actual
    found = []
    for i, feature in enumerate(list_features(judged.spec)):
        values = np.nan_to_num(judged.examples.matrix[:, i], nan=-np.inf)
        for name, is_class in ((classes[0], actual == 0), (classes[-1], actual == len(classes) - 1)):
            area = auc(values, is_class, judged.examples.weights)
            if area is not None:
                found.append((round(max(area, 1 - area), 4), feature.name, name))
    found.sort(key=lambda row: (-row[0], *row[1:]))
    return [{"auc": auc, "feature": feature, "class": name} for auc, feature, name in found[:_SHOWN]]


def _log_loss(probabilities: NDArray[np.float32], examples: Examples) -> float | None:
    losses = log_losses(probabilities, examples.actual)
    return round(weighted_mean(losses, examples.weights), 6) if len(examples) else None

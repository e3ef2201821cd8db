"""Whether a model's classes stand in the order of the spec: labels tell, because a calibrated wrong order loses."""

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from features.spec.contract import Spec
from metrics import log_losses
from training.data import Examples
from training.fit.calibrate import fit_calibration

_ALL_ORDERS_UP_TO = 5  # classes; beyond, only the reverse, the alphabetical order and exchanges of two
_LEAST_GAIN = 0.01  # of log loss
_STANDARD_ERRORS = 4.0  # so many that none of 120 orders gains so much by luck
_OF_TWO_CLASSES = 3.0  # there is one other order

Order = tuple[int, ...]


def check_class_order(margins: NDArray[np.float64], examples: Examples, spec: Spec) -> None:
    """Check that no other order of the model's classes explains the labels clearly better, each order calibrated.

    Raises:
        ExportError: one does; names the order in which the model has its classes.

    """
    given = _losses(margins, examples)
    best, gain = None, _LEAST_GAIN
    errors = _OF_TWO_CLASSES if len(spec.classes) == 2 else _STANDARD_ERRORS
    for order in _orders(spec.classes):
        better = given - _losses(margins[:, order], examples)
        error = float(better.std()) / max(len(better), 1) ** 0.5
        if better.mean() > max(gain, errors * error):
            best, gain = order, float(better.mean())
    if best is not None:
        found = [""] * len(best)
        for name, column in zip(spec.classes, best, strict=True):
            found[column] = name
        raise ExportError(
            f"the model's classes seem to stand in the order {', '.join(found)}, expected {', '.join(spec.classes)} "
            f"(0, 1 ..., worst first): so the calibrated log loss on {len(examples):,} labelled applications is "
            f"{given.mean() - gain:.3f}, as given {given.mean():.3f}. Encode the labels worst first and train again; "
            "a LabelEncoder sorts by the alphabet. If they are encoded so, the features may be in another order: "
            "--expected tells."
        )


def _losses(margins: NDArray[np.float64], examples: Examples) -> NDArray[np.float64]:
    """Return the log loss of each application, as many times as its weight says."""
    probabilities = fit_calibration(margins, examples.actual, examples.weights).probabilities(margins)
    losses = log_losses(probabilities, examples.actual)
    return losses if examples.weights is None else losses * examples.weights


def _orders(classes: tuple[str, ...]) -> Iterator[list[int]]:
    """Yield other orders: for each class the model's column that would be its own."""
    count = len(classes)
    same = list(range(count))
    if count <= _ALL_ORDERS_UP_TO:
        yield from (list(order) for order in permutations(same) if list(order) != same)
        return
    yield same[::-1]
    yield [sorted(classes).index(name) for name in classes]
    for a, b in combinations(same, 2):
        yield [b if i == a else a if i == b else i for i in same]

"""One candidate: model, calibration and policy from the training and calibration side of one split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from features.spec import Spec
from scoring.policy import Policy
from training.calibrate import Calibration, fit_calibration
from training.choose_policy import choose_policy
from training.data import Split
from training.fit import Fitted, ModelKind, Parameters, fit


@dataclass(frozen=True, slots=True)
class Fit:
    """Model, calibration and policy from the training and calibration side of one split."""

    model: Fitted
    calibration: Calibration
    policy: Policy

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the native model."""
        return self.calibration.probabilities(self.model.margins(matrix)).astype(np.float32)


def fit_side(split: Split, spec: Spec, kind: ModelKind, seed: int, parameters: Parameters | None = None) -> Fit:
    """Fit on the training customers, calibrate and choose the policy on the calibration customers.

    Raises:
        FloorsError: no policy meets the spec's floors on the calibration customers.
        InputError: a class is so rare that the training customers have none.

    """
    absent = [name for i, name in enumerate(spec.classes) if not (split.train.actual == i).any()]
    if absent:
        raise InputError(
            f"labels: {', '.join(absent)} is so rare that the training customers of a split have no application of it. "
            "Give more examples, or leave the class out of the spec."
        )
    model = fit(kind, split.train, len(spec.classes), seed, parameters)
    margins, actual = model.margins(split.calibration.matrix), split.calibration.actual
    calibration = fit_calibration(margins, actual)
    return Fit(model, calibration, choose_policy(spec, calibration.probabilities(margins).astype(np.float32), actual))

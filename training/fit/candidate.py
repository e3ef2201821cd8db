"""A fitted model with its calibration and policy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.policy import Policy
from training.fit.calibrate import Calibration
from training.fit.fit import Fitted


@dataclass(frozen=True, slots=True)
class Fit:
    """Model, calibration and policy."""

    model: Fitted
    calibration: Calibration
    policy: Policy

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the native model."""
        return self.calibration.probabilities(self.model.margins(matrix)).astype(np.float32)

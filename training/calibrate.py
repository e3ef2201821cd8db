"""Vector scaling: calibrated log-odds a_c * margin_c + b_c with a_c > 0, fitted on customers of their own.

Source: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

_LOG_SCALE_BOUND = 4.0
_RIDGE = 1e-4  # keeps the fit defined where classes separate perfectly


@dataclass(frozen=True, slots=True)
class Calibration:
    """One scale and one offset per class, float32 as in the exported graph."""

    scale: NDArray[np.float32]
    offset: NDArray[np.float32]

    def probabilities(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return softmax(scale * margins + offset)."""
        result: NDArray[np.float64] = softmax(self.scale * margins + self.offset, axis=1)
        return result


def fit_calibration(margins: NDArray[np.float64], actual: NDArray[np.int64]) -> Calibration:
    """Minimise the log loss. `margins` has one row per example, `actual` holds class indices."""
    count = margins.shape[1]
    rows = np.arange(len(actual))

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_scale, offset = parameters[:count], parameters[count:]
        logits = np.exp(log_scale) * margins + offset
        gradient = np.exp(log_softmax(logits, axis=1))
        value = -float(log_softmax(logits, axis=1)[rows, actual].mean()) + _RIDGE * float(parameters @ parameters)
        gradient[rows, actual] -= 1
        gradient /= len(rows)
        scale_part = (gradient * margins).sum(axis=0) * np.exp(log_scale)
        return value, np.concatenate([scale_part, gradient.sum(axis=0)]) + 2 * _RIDGE * parameters

    bounds = [(-_LOG_SCALE_BOUND, _LOG_SCALE_BOUND)] * count + [(None, None)] * count
    fitted = minimize(loss, np.zeros(2 * count), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(np.exp(fitted.x[:count]).astype(np.float32), fitted.x[count:].astype(np.float32))

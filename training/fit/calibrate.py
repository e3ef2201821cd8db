"""Calibration: a rising line through the margins, so that probabilities are what comes true.

Ordinal models: one slope and one offset per ensemble (Platt 1999), fitted on out-of-fold margins, drawn a little to
slope 1 and offset 0. Models trained elsewhere with one margin per class: vector scaling, calibrated log-odds
a_c * margin_c + b_c with a_c > 0 (Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017,
section 4.2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from training.data import Examples

_LOG_SCALE_BOUND = 4.0
_RIDGE = 1e-4  # keeps the fit defined where classes separate perfectly
_PENALTY = 20.0  # in rows: with few of them, out-of-fold margins say little about a slope
_LOG_SLOPE_BOUND = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """One scale and one offset per margin, float32 as in the exported graph."""

    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    ordinal: bool = False

    def probabilities(self, margins: Floats) -> Floats:
        """Return softmax(scale * margins + offset), or of ordinal margins the products along the classes."""
        logits = self.scale * margins + self.offset
        return chain(logits) if self.ordinal else softmax(logits, axis=1)


def chain(logits: Floats) -> Floats:
    """Return probabilities of the classes, worst first, from the log-odds of going on from each but the last."""
    better, not_better = expit(logits), expit(-logits)
    reached = np.cumprod(np.column_stack([np.ones(len(logits)), better]), axis=1)
    return np.column_stack([reached[:, :-1] * not_better, reached[:, -1]])


def fit_ordinal(margins: Floats, examples: Examples) -> Calibration:
    """Fit slope and offset of each ensemble on the rows at least as good as its class."""
    scale, offset = [], []
    for number in range(margins.shape[1]):
        rows = examples.actual >= number
        weights = None if examples.weights is None else examples.weights[rows]
        prior = _shift_of_classes(examples, number)
        slope, shift = platt(margins[rows, number] + prior, examples.actual[rows] > number, weights)
        scale.append(slope)
        offset.append(shift + slope * prior)
    return Calibration(np.array(scale, dtype=np.float32), np.array(offset, dtype=np.float32), ordinal=True)


def _shift_of_classes(examples: Examples, number: int) -> float:
    """Return what takes class weights out of an ensemble's margins: by how much they raised the odds of the better."""
    if examples.class_weights is None:
        return 0.0
    sums = np.bincount(examples.actual, examples.weights, minlength=len(examples.class_weights)).astype(np.float64)
    better = slice(number + 1, None)
    if sums[better].sum() == 0:
        return 0.0
    mean = float(np.average(examples.class_weights[better], weights=sums[better]))
    return float(np.log(examples.class_weights[number] / mean))


def platt(margins: Floats, better: NDArray[np.bool_], weights: Floats | None) -> tuple[float, float]:
    """Return the slope e^a and the offset b that minimise the log loss plus 20 (a^2 + b^2) / n."""
    if len(margins) == 0:
        return 1.0, 0.0
    share = np.full(len(margins), 1 / len(margins)) if weights is None else weights / weights.sum()
    signs, penalty = np.where(better, 1.0, -1.0), _PENALTY / len(margins)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope = np.exp(parameters[0])
        logits = signs * (slope * margins + parameters[1])
        value = float(share @ np.logaddexp(0, -logits)) + penalty * float(parameters @ parameters)
        pull = -share * signs * expit(-logits)
        return value, np.array([float(pull @ margins) * slope, float(pull.sum())]) + 2 * penalty * parameters

    bounds = [(-_LOG_SLOPE_BOUND, _LOG_SLOPE_BOUND), (None, None)]
    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), float(found[1])


def fit_calibration(margins: Floats, actual: NDArray[np.int64], weights: Floats | None = None) -> Calibration:
    """Fit vector scaling. `margins` has one row per example and one column per class, `actual` holds class indices."""
    shares = np.empty(0) if weights is None else weights / weights.sum()
    count = margins.shape[1]
    rows = np.arange(len(actual))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        log_scale, offset = parameters[:count], parameters[count:]
        logits = np.exp(log_scale) * margins + offset
        gradient = np.exp(log_softmax(logits, axis=1))
        chosen = log_softmax(logits, axis=1)[rows, actual]
        mean = chosen.mean() if weights is None else shares @ chosen
        value = -float(mean) + _RIDGE * float(parameters @ parameters)
        gradient[rows, actual] -= 1
        gradient = gradient / len(rows) if weights is None else gradient * shares[:, None]
        scale_part = (gradient * margins).sum(axis=0) * np.exp(log_scale)
        return value, np.concatenate([scale_part, gradient.sum(axis=0)]) + 2 * _RIDGE * parameters

    bounds = [(-_LOG_SCALE_BOUND, _LOG_SCALE_BOUND)] * count + [(None, None)] * count
    fitted = minimize(loss, np.zeros(2 * count), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(np.exp(fitted.x[:count]).astype(np.float32), fitted.x[count:].astype(np.float32))

"""A linear start of an ensemble: a ridge logistic regression on steps of each feature, which trees can state exactly.

Each feature is cut into at most 32 steps, finer towards both ends, where rare outcomes often lie, and stands for the
median of its step: outliers count no more than the last step does. So the regression is a sum of step functions, one
tree for each feature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from training.fit.fit import Floats
from training.fit.side import Side

_LEVELS = expit(np.linspace(-4, 4, 31))  # quantiles at which steps end: from 1.8 % to 98.2 %, evenly in log-odds
DEPTH = 5  # of a tree with an end for each of the 32 steps
_LEAST_SPREAD = 1e-9
_LEAST_MISSING = 10  # rows, from which on missing values have a coefficient of their own
_MOST_ROWS = 10_000  # on which folds choose a ridge; with more rows all are alike

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """A feature's part of the margin: `values[i]` from the i-th edge on, `missing` without a value.

    `counts` and `absent` are the rows of training on each step and without a value; where few are without one, they
    stand on the step of the median, `place`.
    """

    edges: Floats
    values: Array
    missing: float
    counts: Array
    absent: int
    place: int

    @property
    def tells_missing(self) -> bool:
        """Whether a missing value has a part of its own."""
        return self.absent >= _LEAST_MISSING

    def __call__(self, column: Floats) -> Array:
        """Return the part of each row."""
        found = self.values[np.searchsorted(self.edges, column, side="right")]
        return np.where(np.isnan(column), self.missing, found)


@dataclass(frozen=True, slots=True)
class Linear:
    """The margin of a row is `base` and the parts of its features, by index."""

    base: float
    parts: Mapping[int, Steps]

    def margins(self, matrix: Floats) -> Array:
        """Return the margins of rows."""
        return sum((part(matrix[:, i]) for i, part in self.parts.items()), np.full(len(matrix), self.base))


def fit_linear(side: Side, ridge: float, most: int) -> Linear:
    """Fit the regression on at most so many features: those that move the margins of a fit on all of them most.

    `ridge` is the penalty, half of it times the sum of squares of the coefficients of standardised features.
    """
    steps = {i: _steps(column) for i, column in enumerate(side.matrix.T)}
    found = _fit(side, steps, ridge)
    if len(steps) <= most:
        return found
    moves = [float(part(side.matrix[:, i]).std()) for i, part in found.parts.items()]
    kept = np.sort(np.argsort(moves, kind="stable")[-most:])
    return _fit(side, {int(i): steps[int(i)] for i in kept}, ridge)


def choose_ridge(parts: Sequence[tuple[Side, Side]], ridges: Sequence[float], most: int) -> float:
    """Return the ridge with which regressions on the first of each pair state the second ones best, by log loss.

    Few rows with many features, such as the values of categories, need a stronger one.
    """
    if sum(len(held.better) for _, held in parts) > _MOST_ROWS:
        return ridges[0]
    return min(ridges, key=lambda ridge: sum(_loss(fit_linear(learn, ridge, most), held) for learn, held in parts))


def _loss(start: Linear, held: Side) -> float:
    margins = start.margins(held.matrix)
    losses = np.logaddexp(0, np.where(held.better, -margins, margins))
    return float(losses.sum() if held.weights is None else losses @ held.weights)


def _fit(side: Side, steps: Mapping[int, Steps], ridge: float) -> Linear:
    places = np.array(list(steps), dtype=np.intp)
    counted = np.array([i for i, part in steps.items() if part.tells_missing], dtype=np.intp)
    columns = [part(side.matrix[:, i]) for i, part in steps.items()]
    design = np.column_stack([*columns, np.isnan(side.matrix[:, counted])])
    centre, spread = design.mean(axis=0), design.std(axis=0)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > _LEAST_SPREAD)
    directions = np.array(side.directions or np.zeros(side.matrix.shape[1]))[places]
    signs = np.append(directions, np.zeros(len(counted)))
    base, found = _solve((design - centre) * scale, side, ridge, signs)
    slopes = found * scale
    own = dict(zip(counted.tolist(), slopes[len(places) :].tolist(), strict=True))
    parts = {
        i: replace(part, values=part.values * slope, missing=part.missing * slope + own.get(i, 0.0))
        for (i, part), slope in zip(steps.items(), slopes[: len(places)].tolist(), strict=True)
    }
    return Linear(base - float(centre @ slopes), parts)


def _steps(column: Floats) -> Steps:
    """Cut a feature where its values lie; the median of each step stands for it, that of all for a missing value."""
    known = np.sort(column[~np.isnan(column)])
    absent = len(column) - len(known)
    if not len(known):
        return Steps(np.zeros(0, np.float32), np.zeros(1), 0.0, np.zeros(1), absent, 0)
    edges = np.setdiff1d(known[(len(known) * _LEVELS).astype(int)], known[:1])
    bounds = np.concatenate([[0], np.searchsorted(known, edges), [len(known)]])
    values = known[(bounds[:-1] + bounds[1:]) // 2].astype(np.float64)
    place = int(np.searchsorted(edges, known[len(known) // 2], side="right"))
    return Steps(edges, values, float(values[place]), np.diff(bounds).astype(np.float64), absent, place)


def _solve(design: Array, side: Side, ridge: float, directions: Array) -> tuple[float, Array]:
    """Return intercept and coefficients of least penalised log loss, none against its direction."""
    if side.better.all() or not side.better.any():  # nothing to tell apart
        return float(logit(side.share)), np.zeros(design.shape[1])
    signs = np.where(side.better, 1.0, -1.0)
    weights = np.ones(len(design)) if side.weights is None else side.weights

    def loss(parameters: Array) -> tuple[float, Array]:
        margins = signs * (parameters[0] + design @ parameters[1:])
        pull = -signs * weights * expit(-margins)
        value = float(weights @ np.logaddexp(0, -margins)) + ridge / 2 * float(parameters[1:] @ parameters[1:])
        gradient = np.append(pull.sum(), design.T @ pull + ridge * parameters[1:])
        return value / len(signs), gradient / len(signs)

    bounds = [(None, None), *((0 if d > 0 else None, 0 if d < 0 else None) for d in directions)]
    start = np.append(logit(side.share), np.zeros(design.shape[1]))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), found[1:]

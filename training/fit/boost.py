"""Boost trees: one ensemble on all of its rows, or one shape on the rest of each fold, tree by tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from training.fit.booster_json import with_start
from training.fit.fit import BINARY, Floats, Parameters
from training.fit.linear import Linear, fit_linear
from training.fit.parallel import in_parallel
from training.fit.side import Side

_PATIENCE = 30  # trees without a lower loss of all held-out rows together, after which no shape grows on
_TURN = 10  # trees that each fold grows before all are looked at; divides all numbers of trees
_BINS, _BINS_OF_MANY, _MANY = 64, 256, 2_500  # of each feature; with few rows more only cost time
_RARE = 1 / 8  # a rarer outcome lies in the ends of features, where wide bins would hide it
_OURS = ("rounds", "ridge", "linear_features")  # of the parameters; XGBoost knows the others
_SETTINGS: dict[str, Any] = {
    "objective": BINARY,
    "tree_method": "hist",
    "nthread": 1,  # its threads spin while they wait: on a busy machine two take many times as long as one
    "seed_per_iteration": True,  # else trees depend on what else their thread grew: its random numbers are the thread's
    "verbosity": 0,
}


def boost(side: Side, parameters: Parameters, seed: int) -> xgboost.Booster:
    """Grow a booster of `rounds` trees, behind those of a linear start where there is a `ridge`."""
    start = _start(side, parameters)
    rounds = int(parameters["rounds"])
    booster = xgboost.train(_settings(side, parameters, seed), _matrix(side, start), num_boost_round=rounds)
    return booster if start is None else with_start(booster, start)


def _start(side: Side, parameters: Parameters) -> Linear | None:
    if "ridge" not in parameters:
        return None
    return fit_linear(side, parameters["ridge"], int(parameters["linear_features"]))


def _settings(side: Side, parameters: Parameters, seed: int) -> dict[str, Any]:
    chosen = {name: value for name, value in parameters.items() if name not in _OURS}
    plain = len(side.better) < _MANY and side.rarer > _RARE * len(side.better)
    bins = _BINS if plain else _BINS_OF_MANY
    settings: dict[str, Any] = {"max_bin": bins, **_SETTINGS, **chosen, "seed": seed, "base_score": side.share}
    for name in ("max_depth", "max_leaves"):
        settings[name] = int(settings[name])
    if settings["max_depth"] > 3:
        settings["grow_policy"] = "lossguide"
    if any(side.directions):
        settings["monotone_constraints"] = f"({','.join(map(str, side.directions))})"
    return settings


def _matrix(side: Side, start: Linear | None) -> xgboost.DMatrix:
    """Keep to one thread: more of them spin."""
    margins = None if start is None else start.margins(side.matrix)
    label = side.better.astype(np.float32)
    return xgboost.DMatrix(side.matrix, label=label, weight=side.weights, base_margin=margins, nthread=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """The rows of a fold (`rows`: their places), those of them that an ensemble looks at, and whom it learns from."""

    rows: NDArray[np.intp]
    held: Side
    learn: Side


class Growth:
    """A booster that grows on the rest of a fold, to `rounds` trees; `losses` are the fold's after each."""

    def __init__(self, fold: Fold, parameters: Parameters, seed: int) -> None:
        """Grow nothing yet."""
        self.fold, self.parameters, self.losses = fold, parameters, list[float]()
        self._start = _start(fold.learn, parameters)
        self._data, self._held = _matrix(fold.learn, self._start), _matrix(fold.held, self._start)
        self._booster = xgboost.Booster(_settings(fold.learn, parameters, seed), [self._data, self._held])

    @property
    def most(self) -> int:
        """Return the most trees of the shape."""
        return int(self.parameters["rounds"])

    def grow(self, trees: int) -> None:
        """Grow so many trees more."""
        for _ in range(trees):
            self._booster.update(self._data, len(self.losses))
            self.losses.append(float(self._booster.eval(self._held).rpartition(":")[2]))

    def margins(self, matrix: Floats, trees: int) -> NDArray[np.float64]:
        """Return the margins of rows by the first trees."""
        start = None if self._start is None else self._start.margins(matrix)
        data = xgboost.DMatrix(matrix, base_margin=start, nthread=1)
        return self._booster.predict(data, output_margin=True, iteration_range=(0, trees)).astype(np.float64)


def pooled(growths: Sequence[Growth]) -> NDArray[np.float64]:
    """Return the log loss of all held-out rows together, after each tree."""
    sides = [growth.fold.held for growth in growths]
    weights = np.array([float(len(s.better) if s.weights is None else s.weights.sum()) for s in sides])
    known = [(w, growth.losses) for w, growth in zip(weights, growths, strict=True) if w]
    total: NDArray[np.float64] = np.sum([w * np.array(losses) for w, losses in known], axis=0)
    return total / float(weights.sum())


def grow_by_turns(growths: Sequence[Sequence[Growth]]) -> None:
    """Grow shapes, each on all folds; each stops at its most trees, or where its pooled loss rises for long."""
    growing = list(growths)
    while growing:
        in_parallel(lambda growth: growth.grow(_TURN), [growth for shape in growing for growth in shape])
        growing = [shape for shape in growing if _goes_on(pooled(shape), shape[0].most)]


def _goes_on(losses: NDArray[np.float64], most: int) -> bool:
    return len(losses) < most and len(losses) - 1 - int(losses.argmin()) < _PATIENCE

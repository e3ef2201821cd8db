"""Grow one ensemble: the rows at least as good as a class, parted into that class and those better than it."""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from training.data import Examples
from training.fit.boost import boost
from training.fit.booster_json import with_exact_leaves
from training.fit.fit import Fitted, ModelKind, OrdinalForest, OrdinalXgboost, Parameters, filled
from training.fit.parallel import in_parallel
from training.fit.recipe import Plan
from training.fit.side import Side, fills_of, side_of

_FORESTS_OF_MANY = 2**-24  # steps of a probability whose sums up to 1 are exact in float32


def estimate(kind: ModelKind, side: Side, parameters: Parameters, seed: int) -> Any:
    """Fit a forest or a tree of scikit-learn; where directions bind, on a matrix without missing values."""
    chosen: dict[str, Any] = {"random_state": seed, **parameters}
    for name in ("n_estimators", "max_depth", "min_samples_leaf"):
        if name in chosen:
            chosen[name] = int(chosen[name])
    if side.weights is not None:  # leaves count by weight, as splits do
        chosen["min_weight_fraction_leaf"] = min(0.5, chosen.pop("min_samples_leaf", 1) / len(side.better))
    if any(side.directions):
        chosen["monotonic_cst"] = list(side.directions)
    make = RandomForestClassifier if kind is ModelKind.RANDOM_FOREST else DecisionTreeClassifier
    estimator = make(**chosen)
    matrix, better, weights = filled(side.matrix, side.fills), side.better, side.weights
    if better.all() or not better.any():  # a fold without one of the outcomes: half a row of it
        matrix, better = np.concatenate([matrix, matrix[:1]]), np.append(better, not better[0])
        weights = np.append(np.ones(len(matrix) - 1) if weights is None else weights, 0.5)
    estimator.fit(matrix, better.astype(np.int64), sample_weight=weights)
    return estimator


def grow(examples: Examples, plan: Plan, number: int) -> Any:
    """Grow one ensemble of a plan."""
    side, parameters = side_of(examples, number, plan), plan.ensembles[number].parameters
    if plan.kind is ModelKind.XGBOOST:
        return boost(side, parameters, plan.seed)
    return estimate(plan.kind, side, parameters, plan.seed)


def grown(plan: Plan, members: list[Any]) -> Fitted:
    """Put ensembles together to a model."""
    if plan.kind is ModelKind.XGBOOST:
        return OrdinalXgboost(tuple(members))
    return OrdinalForest(tuple(members), plan.kind, fills_of(plan))


def fit_plan(examples: Examples, plan: Plan) -> Fitted:
    """Fit a plan on rows. Same input, same bits."""
    numbers = range(len(plan.ensembles))
    return grown(plan, in_parallel(lambda number: grow(examples, plan, number), numbers, threads=plan.in_threads))


def with_exact_sums(model: Fitted) -> Fitted:
    """Round leaves to steps at which float32 sums are exact, so that margins do not depend on who adds them up how.

    No leaf moves by more than about 1e-6 of the largest margin. Whatever the trees and however steep the calibration,
    the exported graph then adds up to the very margin of the native model.
    """
    if isinstance(model, OrdinalXgboost):
        return OrdinalXgboost(tuple(with_exact_leaves(booster) for booster in model.boosters))
    if isinstance(model, OrdinalForest):
        for estimator in model.estimators:
            _make_shares_exact(estimator)
    return model


def _make_shares_exact(estimator: Any) -> None:
    members = estimator.estimators_ if isinstance(estimator, RandomForestClassifier) else [estimator]
    step = _FORESTS_OF_MANY * len(members)
    for member in members:
        shares = member.tree_.value
        shares[:, 0, 1] = np.floor(shares[:, 0, 1] / step) * step
        shares[:, 0, 0] = 1 - shares[:, 0, 1]

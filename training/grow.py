"""Grow one ensemble: the rows at least as good as a class, parted into that class and those better than it."""

import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from training.data import Examples
from training.fit import BINARY, Fitted, Floats, ModelKind, OrdinalForest, OrdinalXgboost, Parameters, filled
from training.recipe import Plan

_WORKERS = min(2, os.cpu_count() or 1)  # ensembles at a time; the bits do not depend on it
_FORESTS_OF_MANY = 2**-24  # steps of a probability whose sums up to 1 are exact in float32
_FILL = 1e25  # beyond every value, and small enough to add up

_XGBOOST: dict[str, Any] = {
    "objective": BINARY,
    "tree_method": "hist",
    "nthread": 1,  # its threads spin while they wait: on a busy machine two take many times as long as one
    "verbosity": 0,
}

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Rows of one ensemble: `better` tells who is better than its class.

    `directions` is +1, -1 or 0 per feature; `fills`: see `fills_of`.
    """

    matrix: Floats
    better: NDArray[np.bool_]
    weights: NDArray[np.float64] | None = None
    directions: tuple[int, ...] = ()
    fills: Floats | None = None

    @property
    def rarer(self) -> int:
        """Count the rows of the rarer outcome."""
        count = int(self.better.sum())
        return min(count, len(self.better) - count)

    @property
    def share(self) -> float:
        """Return the weighted share of the better rows, kept off 0 and 1 where a fold lacks one of the outcomes."""
        share = float(np.average(self.better, weights=self.weights)) if len(self.better) else 0.5
        least = 0.5 / (len(self.better) + 1)
        return min(max(share, least), 1 - least)


def side_of(examples: Examples, number: int, plan: Plan | None = None) -> Side:
    """Return the rows of ensemble `number`: classes from `number` on, parted into it and what is better."""
    rows = examples.actual >= number
    weights = None if examples.weights is None else examples.weights[rows]
    better = examples.actual[rows] > number
    side = Side(matrix=examples.matrix[rows], better=better, weights=weights)
    return side if plan is None else replace(side, directions=plan.directions, fills=fills_of(plan))


def in_parallel(work: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
    """Do independent work two at a time; XGBoost and scikit-learn let other threads run meanwhile."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(work, items))


def boost(
    side: Side, parameters: Parameters, seed: int, held_out: Side | None = None, patience: int | None = None
) -> tuple[xgboost.Booster, list[float]]:
    """Grow a booster; with rows held out, return their log loss after each tree too.

    `patience` ends the growth after so many trees without a lower loss.
    """
    chosen = dict(parameters)
    rounds = int(chosen.pop("rounds"))
    settings: dict[str, Any] = {**_XGBOOST, **_whole(chosen), "seed": seed, "base_score": side.share}
    if chosen["max_depth"] > 3:
        settings["grow_policy"] = "lossguide"
    if any(side.directions):
        settings["monotone_constraints"] = f"({','.join(map(str, side.directions))})"
    data = xgboost.DMatrix(side.matrix, label=side.better.astype(np.float32), weight=side.weights)
    losses: dict[str, dict[str, list[float]]] = {}
    watched = []
    if held_out is not None:
        label = held_out.better.astype(np.float32)
        watched = [(xgboost.DMatrix(held_out.matrix, label=label, weight=held_out.weights), "held")]
    booster = xgboost.train(
        settings,
        data,
        num_boost_round=rounds,
        evals=watched,
        evals_result=losses,
        verbose_eval=False,
        early_stopping_rounds=patience if watched else None,
    )
    return booster, list(losses["held"]["logloss"]) if watched else []


def _whole(parameters: Parameters) -> dict[str, float]:
    counts = ("max_depth", "max_leaves")
    return {name: int(value) if name in counts else value for name, value in parameters.items()}


def estimate(kind: ModelKind, side: Side, parameters: Parameters, seed: int) -> Any:
    """Fit a forest or a tree of scikit-learn; where directions bind, on a matrix without missing values."""
    chosen: dict[str, Any] = {"random_state": seed, **parameters}
    for name in ("n_estimators", "max_depth", "min_samples_leaf"):
        if name in chosen:
            chosen[name] = int(chosen[name])
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


def fills_of(plan: Plan) -> Floats | None:
    """Return what stands for missing values where directions bind: a value beyond all others, at the plan's end."""
    return np.array(plan.missing_ends, dtype=np.float32) * np.float32(_FILL) if any(plan.directions) else None


def grow(examples: Examples, plan: Plan, number: int) -> Any:
    """Grow one ensemble of a plan."""
    side, parameters = side_of(examples, number, plan), plan.ensembles[number].parameters
    if plan.kind is ModelKind.XGBOOST:
        return boost(side, parameters, plan.seed)[0]
    return estimate(plan.kind, side, parameters, plan.seed)


def grown(plan: Plan, members: list[Any]) -> Fitted:
    """Put ensembles together to a model."""
    if plan.kind is ModelKind.XGBOOST:
        return OrdinalXgboost(tuple(members))
    return OrdinalForest(tuple(members), plan.kind, fills_of(plan))


def fit_plan(examples: Examples, plan: Plan) -> Fitted:
    """Fit a plan on rows. Same input, same bits."""
    return grown(plan, in_parallel(lambda number: grow(examples, plan, number), range(len(plan.ensembles))))


def with_exact_sums(model: Fitted) -> Fitted:
    """Round leaves to steps at which float32 sums are exact, so that margins do not depend on who adds them up how.

    No leaf moves by more than about 1e-6 of the largest margin. Whatever the trees and however steep the calibration,
    the exported graph then adds up to the very margin of the native model.
    """
    if isinstance(model, OrdinalXgboost):
        return OrdinalXgboost(tuple(_exact_booster(booster) for booster in model.boosters))
    if isinstance(model, OrdinalForest):
        for estimator in model.estimators:
            _make_shares_exact(estimator)
    return model


def _exact_booster(booster: xgboost.Booster) -> xgboost.Booster:
    """Return the same booster with rounded leaves; the first tree takes the base value over."""
    content = json.loads(bytes(booster.save_raw("json")))
    learner = content["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    base = base_margin(json.loads(learner["learner_model_param"]["base_score"])[0])
    learner["learner_model_param"]["base_score"] = "[5E-1]"
    leaves = [np.array(tree["left_children"]) < 0 for tree in trees]
    values = [np.array(tree["split_conditions"], dtype=np.float64) for tree in trees]
    if trees:
        values[0] = np.where(leaves[0], values[0] + base, values[0])
    largest = sum(float(np.abs(value[leaf]).max()) for value, leaf in zip(values, leaves, strict=True))
    step = 2.0 ** (np.ceil(np.log2(max(largest, 2.0**-20))) - 23)  # sums stay below 2^24 steps, with a bit to spare
    for tree, leaf, value in zip(trees, leaves, values, strict=True):
        rounded = np.where(leaf, np.rint(value / step) * step, value)
        tree["split_conditions"] = rounded.tolist()
        weights = np.array(tree["base_weights"], dtype=np.float64)
        tree["base_weights"] = np.where(leaf, rounded, weights).tolist()
    exact = xgboost.Booster({"nthread": 1})
    exact.load_model(bytearray(json.dumps(content).encode()))
    return exact


def base_margin(base_score: float) -> np.float32:
    """Return the margin of a base score as XGBoost forms it, in float32: -log(1 / b - 1)."""
    one = np.float32(1)
    return np.float32(-np.log(one / np.float32(base_score) - one))


def _make_shares_exact(estimator: Any) -> None:
    members = estimator.estimators_ if isinstance(estimator, RandomForestClassifier) else [estimator]
    step = _FORESTS_OF_MANY * len(members)
    for member in members:
        shares = member.tree_.value
        shares[:, 0, 1] = np.floor(shares[:, 0, 1] / step) * step
        shares[:, 0, 0] = 1 - shares[:, 0, 1]

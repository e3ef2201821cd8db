"""What a search may change of a plan, as multiples of the recipe's parameters, and what a plan costs when it serves."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution

from training.fit.fit import ModelKind
from training.fit.linear import DEPTH
from training.fit.recipe import MOST_TREES, EnsemblePlan, Plan

Space = dict[str, IntDistribution | FloatDistribution]
Factors = Mapping[str, float]

DEEPER = "max_depth"  # added to the recipe's depth; all else multiplies
_DEEPEST, _SHALLOWEST = 6, 2  # the tables of exact SHAP values grow with 2^depth, and serving time with trees x depth

SPACES: dict[ModelKind, Space] = {
    ModelKind.XGBOOST: {
        "rounds": FloatDistribution(0.3, 1.5, log=True),
        DEEPER: IntDistribution(-3, 3),
        "max_leaves": FloatDistribution(0.5, 2, log=True),
        "learning_rate": FloatDistribution(0.4, 2.5, log=True),
        "min_child_weight": FloatDistribution(0.3, 10, log=True),
        "subsample": FloatDistribution(0.6, 1.25, log=True),
        "colsample_bytree": FloatDistribution(0.5, 2, log=True),
        "reg_lambda": FloatDistribution(0.1, 100, log=True),
    },
    ModelKind.RANDOM_FOREST: {
        "n_estimators": FloatDistribution(0.2, 2, log=True),
        DEEPER: IntDistribution(-3, 0),
        "min_samples_leaf": FloatDistribution(0.2, 20, log=True),
        "max_features": FloatDistribution(0.25, 2.5, log=True),
    },
    ModelKind.DECISION_TREE: {
        DEEPER: IntDistribution(-4, 0),
        "min_samples_leaf": FloatDistribution(0.2, 20, log=True),
    },
}
_COUNTS = {"rounds": 5, "max_leaves": 4, "n_estimators": 5, "min_samples_leaf": 1}  # with the least of each
_SHARES = ("subsample", "colsample_bytree", "max_features")


def default_of(kind: ModelKind) -> dict[str, float]:
    """Return the factors that change nothing."""
    return {name: 0 if name == DEEPER else 1.0 for name in SPACES[kind]}


def changed(plan: Plan, factors: Factors, number: int) -> Plan:
    """Return the plan with its parameters multiplied; `number` names the candidate."""
    if dict(factors) == default_of(plan.kind):
        return plan
    most = MOST_TREES * 1.5 / len(plan.ensembles)
    return replace(plan, ensembles=tuple(_changed(e, factors, number, most) for e in plan.ensembles))


def _changed(ensemble: EnsemblePlan, factors: Factors, number: int, most_trees: float) -> EnsemblePlan:
    parameters = dict(ensemble.parameters)
    for name, factor in factors.items():
        if name == DEEPER:
            parameters[name] = float(np.clip(parameters[name] + factor, _SHALLOWEST, _DEEPEST))
        elif name in _COUNTS:
            parameters[name] = max(_COUNTS[name], round(parameters[name] * factor))
        else:
            parameters[name] = parameters[name] * factor
        if name in _SHARES:
            parameters[name] = min(parameters[name], 1.0)
    if "rounds" in parameters:
        parameters["rounds"] = min(parameters["rounds"], int(most_trees))
    return EnsemblePlan(shape=f"{ensemble.shape}, candidate {number}", parameters=parameters)


def serving_cost(plan: Plan) -> int:
    """Return trees x depth, which the time to score one row follows; of a linear start at most so much."""
    names = {ModelKind.XGBOOST: "rounds", ModelKind.RANDOM_FOREST: "n_estimators", ModelKind.DECISION_TREE: ""}
    name = names[plan.kind]
    trees = sum(int(e.parameters.get(name, 1)) * int(e.parameters["max_depth"]) for e in plan.ensembles)
    return trees + DEPTH * sum(int(e.parameters.get("linear_features", 0)) for e in plan.ensembles)

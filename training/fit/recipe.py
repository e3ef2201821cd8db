"""The recipe: how each ensemble of the ordinal form is grown. docs/model.md says how the figures were found.

Five shapes of XGBoost ensembles are compared by folds. `min_child_weight` is a count in disguise (hessians add up to
about n p (1 - p)), so it follows the count of the rarer outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.fit.fit import ModelKind, Parameters

MOST_TREES = 200  # of a model: serving time follows trees x depth
SHAPES = ("R", "S", "P", "M", "L")  # the gentlest first
FEW = 100  # of the rarer outcome: below, folds cannot tell all shapes apart
FOR_FEW = ("R", "S")
RIDGES = (3.0, 10.0, 30.0, 100.0)  # of the linear start; folds choose

FOREST: Parameters = {"n_estimators": 100, "max_depth": 6, "min_samples_leaf": 10, "max_features": 0.4}
TREE: Parameters = {"max_depth": 6, "min_samples_leaf": 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsemblePlan:
    """How one ensemble is grown: parameters by the names of its library; `rounds` is XGBoost's number of trees."""

    shape: str
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that decides a fit but the rows: one ensemble per class but the worst, the number of folds, the seed.

    `directions` is +1, -1 or 0 per feature, empty where no feature has one; `missing_ends` tells, for kinds that know
    directions only without missing values, at which end of a feature's values missing ones stand.
    """

    kind: ModelKind
    folds: int
    seed: int
    ensembles: tuple[EnsemblePlan, ...] = ()
    directions: tuple[int, ...] = ()
    missing_ends: tuple[int, ...] = ()

    @property
    def in_threads(self) -> bool:
        """Whether its ensembles may be grown side by side, see `in_parallel`."""
        return self.kind is not ModelKind.RANDOM_FOREST

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest holds it."""
        ensembles = [{"shape": e.shape, "parameters": dict(e.parameters)} for e in self.ensembles]
        return {
            "kind": str(self.kind),
            "ensembles": ensembles,
            "folds": self.folds,
            "seed": self.seed,
            "directions": list(self.directions),
            "missing_ends": list(self.missing_ends),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Plan":
        """Read what `to_json` wrote."""
        ensembles = (EnsemblePlan(shape=e["shape"], parameters=e["parameters"]) for e in found["ensembles"])
        return cls(
            kind=ModelKind(found["kind"]),
            folds=int(found["folds"]),
            seed=int(found["seed"]),
            ensembles=tuple(ensembles),
            directions=tuple(found["directions"]),
            missing_ends=tuple(found["missing_ends"]),
        )


def cap(ensembles: int) -> int:
    """Return the most trees of one of so many ensembles."""
    return max(MOST_TREES // ensembles, 20)


def shape(name: str, rarer: int, trees: int) -> dict[str, float]:
    """Return the parameters of a shape of at most so many trees, with `rarer` rows of the rarer outcome."""
    weight = rarer / 100
    shapes: dict[str, dict[str, float]] = {
        "S": {
            "max_depth": 3,
            "max_leaves": 8,
            "learning_rate": 0.06 * MOST_TREES / trees,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "min_child_weight": float(np.clip(weight, 0.3, 10)),
        },
        "P": {  # each tree sees all columns, for features that act in pairs
            "max_depth": 4,
            "max_leaves": 16,
            "learning_rate": 0.08 * MOST_TREES / trees,
            "subsample": 0.8,
            "colsample_bytree": 1.0,
            "min_child_weight": float(np.clip(weight, 0.3, 5)),
        },
        "M": {
            "max_depth": 6,
            "max_leaves": 16,
            "learning_rate": 0.1,
            "subsample": 0.8,
            "colsample_bytree": 0.8,
            "min_child_weight": float(np.clip(weight, 0.3, 3)),
        },
        "L": {
            "max_depth": 6,
            "max_leaves": 32,
            "learning_rate": 0.2,
            "subsample": 0.9,
            "colsample_bytree": 0.8,
            "min_child_weight": float(np.clip(weight, 0.3, 1)),
        },
    }
    if name != "R":
        return {**shapes[name], "reg_lambda": 1.0, "rounds": trees}
    own = trees // 2  # gentle trees from a linear start, which has trees of its own, one for each feature
    return {**shapes["S"], "reg_lambda": 1.0, "rounds": trees - own, "ridge": RIDGES[0], "linear_features": own}

"""Fit one of three kinds of model on the feature matrix. What they share: margins, one per class, to calibrate."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from training.data import Examples

Floats = NDArray[np.float32]
Parameters = Mapping[str, float]

ROUNDS = 60
# Found sufficient by measurement (docs/model.md): more or deeper trees are within noise and cost serving time.
_XGBOOST = {"max_depth": 6, "max_leaves": 16, "learning_rate": 0.15}
XGBOOST = {
    **_XGBOOST,
    "objective": "multi:softprob",
    "grow_policy": "lossguide",
    "tree_method": "hist",
    "nthread": 1,  # its threads spin while they wait: on a busy machine two take many times as long as one
}
BINARY = "binary:logistic"  # two classes with one margin; models trained elsewhere often are
FOREST: Parameters = {"n_estimators": 100, "max_depth": 6, "min_samples_leaf": 10, "max_features": 0.4}
TREE: Parameters = {"max_depth": 6, "min_samples_leaf": 25}
LEAST_PROBABILITY = 1e-6  # of forests and trees, before the logarithm


class ModelKind(StrEnum):
    """The kinds of model that can be trained and exported."""

    XGBOOST = "xgboost"
    RANDOM_FOREST = "random-forest"
    DECISION_TREE = "decision-tree"


DEFAULTS: dict[ModelKind, Parameters] = {  # of all that a search may change
    ModelKind.XGBOOST: {
        **_XGBOOST,
        "rounds": ROUNDS,
        "min_child_weight": 1.0,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
        "reg_lambda": 1.0,
    },
    ModelKind.RANDOM_FOREST: FOREST,
    ModelKind.DECISION_TREE: TREE,
}


class Fitted(Protocol):
    """A native model, as far as calibration, evaluation and the parity gate look at it."""

    @property
    def kind(self) -> ModelKind:
        """Which kind of model this is."""

    def margins(self, matrix: Floats) -> NDArray[np.float64]:
        """Return the raw scores, one column per class, worst first."""


@dataclass(frozen=True, slots=True)
class FittedXgboost:
    """Gradient boosted trees; the margins are XGBoost's own, in a binary model 0 for the worse class."""

    booster: xgboost.Booster
    kind: ModelKind = ModelKind.XGBOOST

    def margins(self, matrix: Floats) -> NDArray[np.float64]:
        """Return the raw scores, one column per class, worst first."""
        data = xgboost.DMatrix(matrix, feature_names=self.booster.feature_names)
        raw: Floats = self.booster.predict(data, output_margin=True)
        columns = raw if raw.ndim == 2 else np.column_stack([np.zeros_like(raw), raw])
        return columns.astype(np.float64)


@dataclass(frozen=True, slots=True)
class FittedForest:
    """A random forest or a single tree of scikit-learn; the margins are logarithms of its probabilities."""

    estimator: RandomForestClassifier | DecisionTreeClassifier
    kind: ModelKind

    def margins(self, matrix: Floats) -> NDArray[np.float64]:
        """Return log(clip(p, 1e-6, 1)), one column per class, worst first."""
        probabilities: NDArray[np.float64] = self.estimator.predict_proba(matrix)
        return np.log(np.clip(probabilities, LEAST_PROBABILITY, 1))


def fit(kind: ModelKind, examples: Examples, classes: int, seed: int, parameters: Parameters | None = None) -> Fitted:
    """Fit a model; missing values are routed as it learns. Same input, same bits.

    `parameters` replace the defaults of the kind, by the names of its library; `rounds` is XGBoost's number of rounds.
    """
    chosen = dict(parameters or {})
    if kind is ModelKind.XGBOOST:
        return _fit_xgboost(examples, classes, seed, chosen)
    estimator = RandomForestClassifier(**{**FOREST, **chosen}, n_jobs=-1, random_state=seed)
    if kind is ModelKind.DECISION_TREE:
        estimator = DecisionTreeClassifier(**{**TREE, **chosen}, random_state=seed)
    estimator.fit(examples.matrix, examples.actual)
    if kind is ModelKind.RANDOM_FOREST:
        estimator.set_params(n_jobs=1)  # with threads, the trees' probabilities are added in any order
    return FittedForest(estimator, kind)


def _fit_xgboost(examples: Examples, classes: int, seed: int, chosen: dict[str, float]) -> FittedXgboost:
    """Fit one scalar tree per class and round; two classes have two margins as well, so that export knows one form."""
    data = xgboost.DMatrix(examples.matrix, label=examples.actual)
    rounds = int(chosen.pop("rounds", ROUNDS))
    parameters = {**XGBOOST, **chosen, "num_class": classes, "seed": seed, "verbosity": 0}
    return FittedXgboost(xgboost.train(parameters, data, num_boost_round=rounds))

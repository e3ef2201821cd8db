"""Kinds of model, and fitted models as calibration, evaluation and export look at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import xgboost
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

Floats = NDArray[np.float32]
Margins = NDArray[np.float64]
Parameters = Mapping[str, float]

BINARY = "binary:logistic"
LEAST_PROBABILITY = 1e-6  # of forests and trees, before the logarithm
LEAST_SHARE = 2.0**-20  # the same in the ordinal form: 1 less this is a float32 too


class ModelKind(StrEnum):
    """The kinds of model that can be trained here."""

    XGBOOST = "xgboost"
    RANDOM_FOREST = "random-forest"
    DECISION_TREE = "decision-tree"


class Fitted(Protocol):
    """A native model, as far as calibration, evaluation and the parity gate look at it.

    An ordinal model has one margin per class but the worst, the log-odds of "better than the class before, given at
    least that"; any other model has one margin per class.
    """

    @property
    def kind(self) -> str:
        """Which kind of model this is: a `ModelKind`, or the library of one that is never trained here."""

    @property
    def ordinal(self) -> bool:
        """Whether the margins are those of the ordinal form."""

    def margins(self, matrix: Floats) -> Margins:
        """Return the margins of rows, worst first."""


@dataclass(frozen=True, slots=True)
class OrdinalXgboost:
    """Gradient boosted trees in the ordinal form, trained here: one booster per class but the worst."""

    boosters: tuple[xgboost.Booster, ...]
    kind: ModelKind = ModelKind.XGBOOST
    ordinal: bool = True

    def margins(self, matrix: Floats) -> Margins:
        """Return each booster's own margin."""
        data = xgboost.DMatrix(matrix)
        found = [booster.predict(data, output_margin=True) for booster in self.boosters]
        return np.column_stack(found).astype(np.float64)


@dataclass(frozen=True, slots=True)
class OrdinalForest:
    """Forests or single trees of scikit-learn in the ordinal form, trained here; the margins are log-odds.

    `fills`, where directions bind, stand for missing values: scikit-learn knows directions only without any.
    """

    estimators: tuple[Any, ...]
    kind: ModelKind
    fills: Floats | None = None
    ordinal: bool = True

    def shares(self, matrix: Floats) -> Margins:
        """Return each ensemble's own probability of the better side."""
        full = filled(matrix, self.fills)
        return np.column_stack([estimator.predict_proba(full)[:, 1] for estimator in self.estimators])

    def margins(self, matrix: Floats) -> Margins:
        """Return logit(clip(share, 2^-20, 1 - 2^-20)), one column per class but the worst."""
        found: Margins = logit(np.clip(self.shares(matrix), LEAST_SHARE, 1 - LEAST_SHARE))
        return found


def filled(matrix: Floats, fills: Floats | None) -> Floats:
    """Put a feature's fill where its value is missing."""
    return matrix if fills is None else np.where(np.isnan(matrix), fills, matrix)


@dataclass(frozen=True, slots=True)
class FittedXgboost:
    """Gradient boosted trees, trained elsewhere; the margins are XGBoost's own, of two classes 0 for the worse."""

    booster: xgboost.Booster
    kind: ModelKind = ModelKind.XGBOOST
    ordinal: bool = False

    def margins(self, matrix: Floats) -> Margins:
        """Return the raw scores, one column per class, worst first."""
        data = xgboost.DMatrix(matrix, feature_names=self.booster.feature_names, nthread=1)  # more spin
        raw: Floats = self.booster.predict(data, output_margin=True)
        columns = raw if raw.ndim == 2 else np.column_stack([np.zeros_like(raw), raw])
        return columns.astype(np.float64)


@dataclass(frozen=True, slots=True)
class FittedForest:
    """A forest or a tree of scikit-learn, trained elsewhere; the margins are logarithms of its probabilities.

    `order` holds for each class, worst first, its column in the estimator; None where they are the same.
    """

    estimator: RandomForestClassifier | ExtraTreesClassifier | DecisionTreeClassifier
    kind: ModelKind
    ordinal: bool = False
    order: tuple[int, ...] | None = None

    def margins(self, matrix: Floats) -> Margins:
        """Return log(clip(p, 1e-6, 1)), one column per class, worst first."""
        probabilities: Margins = self.estimator.predict_proba(matrix)
        if self.order is not None:
            probabilities = probabilities[:, self.order]
        return np.log(np.clip(probabilities, LEAST_PROBABILITY, 1))

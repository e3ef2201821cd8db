"""LIME beside SHAP for one application: a linear model fitted to random neighbours, and how far it moves with the seed.

Source: Ribeiro, Singh, Guestrin, "Why Should I Trust You?" (KDD 2016); the library `lime`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingsError
from features.matrix import list_features
from scoring.bundle import Bundle
from scoring.explanation import Explanation
from scoring.model import Model
from training.report.figures.background import draw
from training.report.files import content_of

__all__ = ["REPEATS", "TOP", "LimeComparison", "compare_with_lime"]

REPEATS = 10
TOP = 5
_BACKGROUND_ROWS, _NEIGHBOURS = 2000, 3000
_LEAST = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimeComparison:
    """One record per feature that either method ranks among its first: SHAP, LIME's mean and deviation, and ranks.

    `agreement`: the mean share of the top five that two repeats have in common. `with_shap`: that LIME's top five by
    mean weight have in common with SHAP's. `fit`: the mean R2 of the linear models.
    """

    features: tuple[dict[str, Any], ...]
    agreement: float
    with_shap: float
    fit: float

    def sentence(self) -> str:
        """Say why notices use SHAP."""
        return (
            f"Notices use SHAP: its contributions are exact, add up to the decision and are the same every time. LIME "
            f"fits a linear model to random neighbours: over {REPEATS} seeds its top {TOP} agree to "
            f"{100 * self.agreement:.0f} % with one another, to {100 * self.with_shap:.0f} % with SHAP's, and explain "
            f"{100 * self.fit:.0f} % of the variance nearby."
        )


def compare_with_lime(bundle: Bundle, explanation: Explanation, seed: int = 0) -> LimeComparison:
    """Explain the log-odds of the same two classes by LIME, with ten seeds. Positive speaks against the applicant.

    Raises:
        SettingsError: the library `lime` is not installed.
        BundleError: the bundle holds no figures to draw neighbours from.

    """
    try:
        from lime.lime_tabular import LimeTabularExplainer  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise SettingsError("--lime needs the library lime. Install it: pip install '.[train,lime]'.") from error
    names = [feature.name for feature in list_features(bundle.spec)]
    values = {record["feature"]: record["value"] for record in explanation.features}
    row = np.array([np.nan if values[name] is None else values[name] for name in names], dtype=np.float32)
    drawn = draw(content_of(bundle).figures["background"], names, _BACKGROUND_ROWS, seed)
    stand_in = _stand_in(np.vstack([drawn, row]))
    known, own = (_without_missing(part, stand_in) for part in (drawn, row[None, :]))
    predict = _log_odds(bundle, explanation.classes, stand_in)
    weights, fits = np.zeros((REPEATS, len(names))), []
    for repeat in range(REPEATS):
        explainer = LimeTabularExplainer(known, mode="regression", feature_names=names, random_state=seed + repeat)
        found = explainer.explain_instance(own[0], predict, num_features=len(names), num_samples=_NEIGHBOURS)
        for feature, weight in found.as_map()[1]:
            weights[repeat, feature] = weight
        fits.append(float(found.score))
    return _compare(names, explanation, weights, float(np.mean(fits)))


def _stand_in(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return per feature a value below all others that stands for a missing one: LIME knows no missing values."""
    filled = np.where(np.isnan(matrix), np.inf, matrix).min(axis=0)
    spread = np.where(np.isnan(matrix), -np.inf, matrix).max(axis=0) - filled
    lowest = np.where(np.isfinite(filled), filled, 0)
    return (lowest - np.where(np.isfinite(spread) & (spread > 0), spread, 1)).astype(np.float32)


def _without_missing(matrix: NDArray[np.float32], stand_in: NDArray[np.float32]) -> Floats:
    return np.where(np.isnan(matrix), stand_in, matrix).astype(np.float64)


def _log_odds(
    bundle: Bundle, classes: tuple[str, str], stand_in: NDArray[np.float32]
) -> Callable[[Floats], NDArray[np.float64]]:
    spec = bundle.spec
    model = Model(bundle.model, len(stand_in), len(spec.classes))
    worse, best = (spec.classes.index(name) for name in classes)

    def predict(rows: Floats) -> Floats:
        narrow = rows.astype(np.float32)
        p = model.probabilities(np.where(narrow <= stand_in, np.float32(np.nan), narrow)).astype(np.float64)
        p = np.clip(p, _LEAST, 1)
        odds: Floats = np.log(p[:, worse]) - np.log(p[:, best])
        return odds

    return predict


def _compare(names: list[str], explanation: Explanation, weights: Floats, fit: float) -> LimeComparison:
    shap = {record["feature"]: float(record["contribution"]) for record in explanation.features}
    first = [record["feature"] for record in explanation.features[:TOP]]
    mean, deviation = weights.mean(axis=0), weights.std(axis=0, ddof=1)
    tops = [{names[i] for i in np.argsort(-np.abs(row), kind="stable")[:TOP]} for row in weights]
    by_mean = [names[i] for i in np.argsort(-np.abs(mean), kind="stable")[:TOP]]
    shared = [len(a & b) / TOP for a, b in combinations(tops, 2)]
    records = [
        {
            "feature": name,
            "shap": shap[name],
            "lime": float(mean[names.index(name)]),
            "deviation": float(deviation[names.index(name)]),
            "in_top": sum(name in top for top in tops),
        }
        for name in dict.fromkeys([*first, *by_mean])
    ]
    return LimeComparison(
        features=tuple(records),
        agreement=float(np.mean(shared)),
        with_shap=len(set(first) & set(by_mean)) / TOP,
        fit=fit,
    )

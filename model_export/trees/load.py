"""Load a model that was trained elsewhere on our feature matrix, and refuse early what does not export faithfully."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from features.errors import ExportError, InputError
from features.spec.contract import Spec
from model_export.trees.load_lightgbm import load_lightgbm
from model_export.trees.neutral import Ensemble
from model_export.trees.trees import from_model
from scoring.reasons import GROUP_CONDITIONS
from training.adopt import check_columns
from training.fit import Fitted, FittedXgboost

_XGBOOST = (".json", ".ubj")
_FOREST, _LIGHTGBM = ".skops", ".txt"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model as it will be exported; `facts` say what was found in its file, for the manifest and the terminal.

    `whole` is the model with all rounds of its file, where early stopping left some unused; else None.
    """

    model: Fitted
    facts: dict[str, Any]
    whole: Fitted | None = None


def load_model(path: Path, spec: Spec) -> Loaded:
    """Load an XGBoost (.json, .ubj) or LightGBM model (.txt), or a scikit-learn forest or tree (.skops); no pickle.

    An early-stopped model of XGBoost keeps all its rounds in the file. Those up to `best_iteration` are used, as its
    scikit-learn wrapper predicts. LightGBM saves only those.

    Raises:
        InputError: the file cannot be read as such a model, or its columns or classes are not those of the spec.
        ExportError: the model has something that does not export faithfully; the message names it.

    """
    if path.suffix not in (*_XGBOOST, _FOREST, _LIGHTGBM):
        raise InputError(
            f"{path}: its name ends in {path.suffix or 'nothing'}, expected .json or .ubj, as XGBoost saves, .txt, as "
            "LightGBM saves, or .skops, as skops.io.dump() saves a forest or tree of scikit-learn."
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file. Expected a model that XGBoost, LightGBM or skops saved.")
    loaded = _load(path, spec)
    ensemble = from_model(loaded.model)
    classes = len(ensemble.base_values)
    if classes != len(spec.classes):
        raise InputError(f"{path}: the model has {classes} classes, the spec {len(spec.classes)}: {_order(spec)}.")
    _check_depth(ensemble)
    return loaded


def _order(spec: Spec) -> str:
    return ", ".join(spec.classes)


def _check_depth(ensemble: Ensemble) -> None:
    """Refuse early, and before anything walks down a tree, what reasons cannot be tabulated for."""
    deepest = max(tree.depth for tree in ensemble.trees)
    if deepest > GROUP_CONDITIONS:
        raise ExportError(
            f"a tree is {deepest} splits deep; reasons need at most {GROUP_CONDITIONS}. Train with max_depth 6."
        )


def _load(path: Path, spec: Spec) -> Loaded:
    if path.suffix == _LIGHTGBM:
        return Loaded(*load_lightgbm(path, spec))
    if path.suffix == _FOREST:
        from model_export.trees.load_forest import load_forest  # noqa: PLC0415 - skops loads for two seconds

        return Loaded(*load_forest(path, spec))
    return _load_xgboost(path, spec)


def _load_xgboost(path: Path, spec: Spec) -> Loaded:
    booster = xgboost.Booster({"nthread": 1})  # more spin while they wait; results are the same
    try:
        booster.load_model(path)
        columns = booster.num_features()  # much is checked only once something is asked
    except xgboost.core.XGBoostError as error:
        raise InputError(f"{path}: XGBoost cannot load it. Save the model with save_model().") from error
    check_columns(booster.feature_names, columns, spec)
    ensemble = from_model(FittedXgboost(booster))  # refuses by name before anything else is asked of the model
    if not np.isfinite(ensemble.base_values).all():
        raise InputError(f"{path}: base_score is 0 or 1, of which no log-odds are known. Train with one between.")
    rounds, used = booster.num_boosted_rounds(), _used_rounds(booster, path)
    if not rounds:
        raise InputError(f"{path}: the model has no rounds, so it says the same of everybody. Train it before saving.")
    facts: dict[str, Any] = {"rounds_in_file": rounds, "rounds_used": used, "early_stopping": used < rounds}
    if used == rounds:
        return Loaded(FittedXgboost(booster), facts)
    return Loaded(FittedXgboost(booster[:used]), facts, FittedXgboost(booster))


def _used_rounds(booster: xgboost.Booster, path: Path) -> int:
    """Return how many rounds early stopping found best; all where it was not used."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]  # booster.attr() breaks at an empty text
    rounds, best = booster.num_boosted_rounds(), learner.get("attributes", {}).get("best_iteration")
    if best is None:
        return rounds
    if not best.isdecimal() or int(best) >= rounds:
        raise InputError(
            f"{path}: best_iteration is no round of the model, which has {rounds}. Correct it with set_attr(), or "
            "remove it with set_attr(best_iteration=None)."
        )
    return int(best) + 1

"""Load a model that was trained elsewhere on our feature matrix."""

from pathlib import Path

import xgboost

from features.errors import InputError
from features.spec import Spec
from training.adopt import check_columns
from training.fit import FittedXgboost


def load_xgboost(path: Path, spec: Spec) -> FittedXgboost:
    """Load an XGBoost model in its own format (.json or .ubj); no pickle.

    Raises:
        InputError: the file cannot be read as such a model, or its columns are not those of the spec.

    """
    if path.suffix not in (".json", ".ubj"):
        raise InputError(
            f"{path}: its name ends in {path.suffix or 'nothing'}, expected .json or .ubj, as XGBoost saves."
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file. Expected a model that XGBoost saved.")
    booster = xgboost.Booster()
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError as error:
        raise InputError(f"{path}: XGBoost cannot load it. Save the model with save_model().") from error
    check_columns(booster.feature_names, booster.num_features(), spec)
    return FittedXgboost(booster)

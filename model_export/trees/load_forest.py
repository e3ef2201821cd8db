"""Load a forest or tree of scikit-learn from a .skops file: audited by type before, by node before it predicts."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.base import BaseEstimator
from skops.io.exceptions import UntrustedTypesFoundException

from features.errors import ExportError, InputError
from features.spec.contract import Spec
from model_export.trees.forest_trees import check_forest
from training.adopt import check_columns
from training.fit import FittedForest, ModelKind

_TREE = "sklearn.tree._tree.Tree"  # skops leaves it to its caller, because scikit-learn follows node numbers unchecked
_UNREADABLE = (
    AttributeError, EOFError, ImportError, IndexError, KeyError, OSError, RecursionError, TypeError, ValueError,
    json.JSONDecodeError, zipfile.BadZipFile,
)  # fmt: skip


def load_forest(path: Path, spec: Spec) -> tuple[FittedForest, dict[str, Any]]:
    """Load a random forest, extra trees or a single tree, and put its classes into the order of the spec.

    Raises:
        InputError: no such file, or one of other columns or classes.
        ExportError: it holds types beyond those of a forest (named), or a tree that is damaged.

    """
    estimator = _load(path)
    if isinstance(estimator, BaseEstimator) and not hasattr(estimator, "n_features_in_"):
        raise InputError(f"{path}: the {type(estimator).__name__} was never fitted. Save it after fit().")
    check_forest(estimator)  # refuses other estimators, and checks the trees before anything follows them
    names = getattr(estimator, "feature_names_in_", None)
    check_columns(None if names is None else [str(name) for name in names], int(estimator.n_features_in_), spec)
    if names is not None:
        del estimator.feature_names_in_  # checked; scikit-learn would warn of a matrix without names
    order = _order(np.asarray(estimator.classes_), path, spec)
    members = getattr(estimator, "estimators_", None)
    if members is not None:
        estimator.set_params(n_jobs=1)  # with threads, the trees' probabilities are added in any order
    kind = ModelKind.DECISION_TREE if members is None else ModelKind.RANDOM_FOREST
    facts = {"estimator": type(estimator).__name__, "classes_in_file": [str(c) for c in estimator.classes_]}
    return FittedForest(estimator, kind, order=order), facts


def _load(path: Path) -> Any:
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - {_TREE})
        if unknown:
            raise ExportError(
                f"{path}: holds types that a forest or tree of scikit-learn does not need: {', '.join(unknown)}. They "
                "are not loaded. Save the fitted forest or tree alone, without a pipeline or functions of your own."
            )
        return skops.io.load(path, trusted=[_TREE])
    except UntrustedTypesFoundException as error:
        raise ExportError(f"{path}: holds types that are not trusted. Save the forest or tree alone.") from error
    except _UNREADABLE as error:
        raise InputError(f"{path}: skops cannot load it. Save the model with skops.io.dump().") from error


def _order(found: Any, path: Path, spec: Spec) -> tuple[int, ...]:
    """Return for each class of the spec its column in the model: labels are class names, or 0, 1, 2 ... worst first.

    Where the classes are themselves called 0 and 1, labels are names: scikit-learn keeps those of the data.
    """
    labels = found.tolist()
    if sorted(map(str, labels)) == sorted(spec.classes):
        return tuple([str(label) for label in labels].index(name) for name in spec.classes)
    if labels == list(range(len(spec.classes))):  # also as floats, or False and True
        return tuple(range(len(labels)))
    raise InputError(
        f"{path}: the model's classes are {', '.join(map(str, labels))}, expected {', '.join(spec.classes)} or 0 to "
        f"{len(spec.classes) - 1} in this order, worst first."
    )

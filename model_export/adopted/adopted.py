"""From a model file of a notebook to what `export` takes, with the proof that it is the notebook's model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from features.matrix import FeatureTable, list_features
from features.spec.contract import Spec
from model_export.adopted.notebook import agreement, differences, read_expected
from model_export.adopted.notebook_causes import Compared, refuse
from model_export.trees.load import Loaded, load_model
from training.adopt import adopt, halves
from training.data import Examples, TrainingData, label_examples
from training.fit import fit_calibration
from training.run import Progress, Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What `credit export` is given. `expected` are predictions of the notebook, a table as `read_expected` takes."""

    model: Path
    data: TrainingData
    spec: Spec
    expected: pl.DataFrame | None = None


def take_over(adoption: Adoption, progress: Progress) -> Trained:
    """Load, calibrate, compare with the notebook; the result is ready for `export`.

    Raises:
        InputError: the model, the data or the predictions cannot be used.
        ExportError: the predictions are not the model's (names the cause), or the model does not export faithfully.
        SpecError: no policy meets the floors.

    """
    loaded = load_model(adoption.model, adoption.spec)
    progress("features")
    examples, table = label_examples(adoption.data, adoption.spec)
    source = dict(loaded.facts)
    if adoption.expected is not None:
        progress("compare")
        source["expected"] = _prove(loaded, adoption.spec, adoption.expected, examples, table)
    progress("calibrate")
    return replace(adopt(loaded.model, examples, table, adoption.spec), source=source)


def _prove(
    loaded: Loaded, spec: Spec, predictions: pl.DataFrame, examples: Examples, table: FeatureTable
) -> dict[str, Any]:
    """Compare the notebook's predictions with the model on our features; return what agreed."""
    by_name = sorted(loaded.facts.get("classes_in_file", ())) == sorted(spec.classes)
    expected = read_expected(predictions, table.applications, spec, labels_are_names=by_name)
    matrix = np.ascontiguousarray(table.matrix[expected.rows])
    largest = differences(expected, loaded.model.margins(matrix))
    if (largest <= expected.tolerance).all():
        return agreement(expected, largest)
    ours = halves(examples, 0).calibration  # what the bundle would be calibrated on
    compared = Compared(
        expected=expected,
        matrix=matrix,
        off=largest > expected.tolerance,
        names=tuple(feature.name for feature in list_features(spec)),
        spec=spec,
        calibration=fit_calibration(loaded.model.margins(ours.matrix), ours.actual),
    )
    raise refuse(loaded, compared, largest)

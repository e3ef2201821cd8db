"""What a model's owner evaluated: predictions of the notebook, compared with the loaded model on the same applications.

The parity gate proves that the bundle equals the loaded model. Only its owner's own predictions can prove that the
loaded model, on our features, is the one that was evaluated.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InputError
from features.spec.contract import Spec

TOLERANCE = 1e-5
_ID = "application_id"
_ALSO_THERE = ("customer_id", "as_of", "credit_class")  # of the matrix, or joined to it; not compared
_PREFIX = r"(?:probability|proba|prob|class|column|margin|pred|p)[ _]*"
_FEWEST_DECIMALS, _MOST_DECIMALS = 3, 6
_FORMS = (
    "Expected application_id and one column per class, named as the class (`Poor`, `p_poor`) or by its number in the "
    "model (`0`, `p_0`), or, with two classes, one column with the probability of the best, or of the class it names"
)
_WORST_BY_TRADE = "pd"  # probability of default

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Expected:
    """The owner's figures, rows x classes worst first, of applications by their place in the feature matrix.

    `tolerance` allows for decimals that were cut when the file was written. `absent` counts the file's applications
    that the data does not have.
    """

    rows: NDArray[np.int64]
    values: Floats
    tolerance: float
    absent: int

    @property
    def are_margins(self) -> bool:
        """Whether these are raw scores, not probabilities."""
        sums = self.values.sum(axis=1)
        return bool((self.values < 0).any() or (np.abs(sums - 1) > 1e-2).any())


def read_expected(
    table: pl.DataFrame, applications: pl.DataFrame, spec: Spec, *, labels_are_names: bool = False
) -> Expected:
    """Match predictions with applications by `application_id`.

    `labels_are_names`: the model knows the classes by their names, so a number in a column's name is one, too, where
    the classes are themselves called 0 and 1.

    Raises:
        InputError: a column is missing, unknown or no number, or may mean two classes; an application is repeated; none
            is of these data.

    """
    if _ID not in table.columns:
        raise InputError(f"expected predictions: column {_ID} is missing. {_FORMS}.")
    ids = _text(table[_ID])
    if ids.is_duplicated().any() or ids.null_count():
        raise InputError(f"expected predictions: {_ID} must be present and not repeated. Keep one row per application.")
    values = _values(table, *_columns(table, spec, labels_are_names=labels_are_names))
    place = pl.DataFrame({_ID: _text(applications[_ID]), "place": np.arange(applications.height)})
    found = pl.DataFrame({_ID: ids, "row": np.arange(len(ids))}).join(place, on=_ID, how="inner").sort("row")
    if found.is_empty():
        raise InputError(
            f"expected predictions: none of their {len(ids):,} applications is among the {applications.height:,} of "
            "--calibration. Give predictions of the applications in that folder, with the same application_id."
        )
    chosen = values[found["row"].to_numpy()]
    return Expected(found["place"].to_numpy(), chosen, _tolerance(chosen), len(ids) - found.height)


def _text(ids: pl.Series) -> pl.Series:
    """Write identifiers as text; whole numbers of a float column without their `.0`, as pandas makes them."""
    if ids.dtype.is_float() and (ids == ids.round()).all():
        ids = ids.cast(pl.Int64)
    return ids.cast(pl.String).str.strip_chars()


def _columns(table: pl.DataFrame, spec: Spec, *, labels_are_names: bool) -> tuple[list[str], bool]:
    """Return the column of each class, worst first; of two classes perhaps one alone, and whether it is the worst's."""
    others = [name for name in table.columns if name not in (_ID, *_ALSO_THERE)]
    column_of = {key: name for name in others for key in _keys(name)}
    alone = len(spec.classes) == 2 and len(others) == 1
    names, numbers = [name.lower() for name in spec.classes], [str(i) for i in range(len(spec.classes))]
    explicit = [[f"class {name}" for name in names], [f"column {number}" for number in numbers]]
    bare = [names] if labels_are_names and set(names) & set(numbers) else [names, numbers]
    for readings in (explicit, bare):
        found = {(tuple(column_of[k] for k in keys), False) for keys in readings if column_of.keys() >= set(keys)}
        if alone:
            found = {((others[0],), keys.index(k) == 0) for keys in readings for k in keys if k in column_of}
        if len(found) > 1:
            raise InputError(
                f"expected predictions: {', '.join(others)} may be names of the classes {', '.join(spec.classes)} or "
                f"numbers in the model, whose 0 is the class {spec.classes[0]}. Write class_{spec.classes[0]} where "
                "you mean the class of that name, column_0 where you mean the model's first."
            )
        if found:
            ((columns, worst),) = found
            return list(columns), worst
    if alone:
        return others, _WORST_BY_TRADE in column_of
    raise InputError(
        f"expected predictions: the columns beside {_ID} ({', '.join(others[:8]) or 'none'}) are not those of the "
        f"classes {', '.join(spec.classes)}. {_FORMS}."
    )


def _keys(column: str) -> list[str]:
    """Return what a column may be found by: its name, that without what says that it is a figure, its explicit form."""
    name = column.lower()
    explicit = re.sub(r"^(class|column)[ _]+", r"\1 ", name)
    return [re.sub(rf"^{_PREFIX}", "", name) or name, name, explicit]


def _values(table: pl.DataFrame, columns: list[str], worst: bool) -> Floats:  # noqa: FBT001
    unusable = [name for name in columns if not (table[name].dtype.is_numeric() or table[name].dtype == pl.String)]
    numbers = table.select(pl.col(name).cast(pl.Float64, strict=False) for name in columns if name not in unusable)
    unusable += [name for name in numbers.columns if not numbers[name].fill_null(float("nan")).is_finite().all()]
    if unusable:
        raise InputError(
            f"expected predictions: column {', '.join(unusable)} holds cells that are no finite number. {_FORMS}."
        )
    values = numbers.to_numpy()
    if len(columns) > 1:
        return values
    margin = bool((values < 0).any() or (values > 1).any())
    if worst:
        values = -values if margin else 1 - values
    return np.column_stack([np.zeros_like(values) if margin else 1 - values, values])


def _tolerance(values: Floats) -> float:
    """Return what a figure may be off: 1e-5, or half of the last decimal to which all of them were rounded."""
    for decimals in range(_FEWEST_DECIMALS, _MOST_DECIMALS):
        if np.abs(values - np.round(values, decimals)).max(initial=0) < 1e-9:
            return float(0.5 * 10.0**-decimals + 1e-6)
    return TOLERANCE


def differences(expected: Expected, margins: Floats, *, probabilities: Floats | None = None) -> Floats:
    """Return the largest difference of each row from a model's margins, or from these probabilities."""
    if probabilities is not None:
        found = probabilities
    elif expected.are_margins:
        found = margins
    else:
        found = to_probabilities(margins)
    result: Floats = np.abs(found - expected.values).max(axis=1)
    return result


def to_probabilities(margins: Floats) -> Floats:
    """Return the softmax of margins: the model's own probabilities."""
    shifted = np.exp(margins - margins.max(axis=1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def agreement(expected: Expected, largest: Floats) -> dict[str, Any]:
    """State a comparison that held, for the manifest and the terminal."""
    return {
        "applications": len(expected.rows),
        "not_in_the_data": expected.absent,
        "figures": "margins" if expected.are_margins else "probabilities",
        "tolerance": float(f"{expected.tolerance:.3g}"),
        "largest_difference": float(f"{largest.max():.3g}"),
    }

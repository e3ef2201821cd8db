"""Sampling weights: a column of labels or applications that says how many applicants each example stands for."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import identifier
from features.errors import InputError
from features.spec.contract import Spec

__all__ = ["sampling_weights"]

_LARGEST = 1e9
Floats = NDArray[np.float64]


def sampling_weights(tables: Mapping[str, pl.DataFrame], ids: pl.Series, spec: Spec) -> Floats | None:
    """Return the weight of each application of `ids`, as it stands in the data; None where the spec asks for none.

    `tables` are the labels and the applications, by name; one of them has the column.

    Raises:
        InputError: none has it, or both have, or a weight is missing, no number, negative or beyond 1e9.

    """
    column = spec.weights.column
    if not column:
        return None
    owners = [name for name, table in tables.items() if column in table.columns]
    if len(owners) != 1:
        where = "both have" if owners else "neither has"
        raise InputError(
            f"weights.column: of {' and '.join(tables)} {where} a column {column!r}. Expected it in one of them; it "
            "says how many applicants each example stands for."
        )
    table = tables[owners[0]]
    known = table.select(identifier(table.schema, owners[0], "application_id"), pl.col(column).alias("cell"))
    cells = ids.to_frame("application_id").join(
        known.unique("application_id", keep="first", maintain_order=True),
        on="application_id",
        how="left",
        maintain_order="left",
    )["cell"]
    return _numbers(cells, f"{owners[0]}: column {column!r}", spec)


def _numbers(cells: pl.Series, where: str, spec: Spec) -> Floats:
    """Read weights; numbers as text have the spec's sign before the decimals."""
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars().replace("", None)
        plain = cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        read = (plain if spec.decimal == "," else cells).cast(pl.Float64, strict=False)
    elif cells.dtype.is_numeric():
        read = cells.cast(pl.Float64)
    else:
        read = pl.Series(cells.name, [None] * len(cells), dtype=pl.Float64)
    values = read.fill_null(np.nan).to_numpy()
    absent = cells.is_null().to_numpy()
    wrong = {
        "missing": absent,
        "no number": ~absent & ~np.isfinite(values),
        "negative": values < 0,
        f"beyond {_LARGEST:g}": np.isfinite(values) & (values > _LARGEST),
    }
    found = ", ".join(f"{int(rows.sum()):,} {name}" for name, rows in wrong.items() if rows.any())
    if found:
        raise InputError(
            f"{where}: of {len(cells):,} labelled applications the weight is: {found}. Expected a number from 0 to "
            f"{_LARGEST:g} for each; 0 leaves an application out. Correct the column, or delete weights.column of the "
            "spec."
        )
    return np.asarray(values, dtype=np.float64)

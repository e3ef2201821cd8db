"""Drafted lines are read back: what they make of the column's own cells, so that none is lost without a word."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells import Cells, Reader, kind_of
from features.spec.contract import Attribute
from features.spec.file import SPEC_VERSION, parse_spec

_AROUND = f"""spec_version = {SPEC_VERSION}
name = "draft"
classes = ["a", "b"]
currency = {{ code = "EUR", minor_digits = 2 }}
score = {{ base_score = 600, base_odds = 2, points_to_double_odds = 50 }}
policy.costs = {{ a = {{ a = 0, b = 1 }}, b = {{ a = 1, b = 0 }} }}
"""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The number that each different cell becomes, NaN where it has none, and why it becomes missing, else null."""

    numbers: NDArray[np.float64]
    causes: pl.Series


def read_back(lines: Sequence[str], cells: pl.Series, *, numeric: bool) -> ReadBack:
    """Read cells by the drafted lines of their attribute; `numeric` asks for their numbers.

    Raises:
        InputError: the kind cannot be read from a column of this type.

    """
    spec = parse_spec(_AROUND + "\n".join(lines) + "\n")
    (attribute,) = spec.attributes
    found = _cells(attribute, cells)
    values = found.values
    if not numeric:
        return ReadBack(np.full(len(cells), np.nan), found.causes)
    scale = 10**spec.currency.minor_digits if attribute.kind == "money" else 1
    numbers = values.cast(pl.Float64).fill_null(float("nan")).to_numpy() / scale
    return ReadBack(numbers, found.causes)


def _cells(attribute: Attribute, cells: pl.Series) -> Cells:
    reader = Reader([kind_of(attribute).reading(attribute, cells.dtype)])
    return reader.read(cells.rename(attribute.name).to_frame())[attribute.name]

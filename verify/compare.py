"""Compare what became of the same applications at two doors, column by column, as bits."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one door differs from the reference: applications that differ, by column, and the first of them.

    `first_row` counts from 0 among the applications compared.
    """

    door: str
    compared: int
    different: int
    by_column: dict[str, int]
    first_row: int | None
    first_columns: tuple[str, ...]


def compare(door: str, reference: pl.DataFrame, found: pl.DataFrame) -> Comparison:
    """Compare two tables of `verify.answers`, row by row. Floats are equal if their bits are: -0 is not 0."""
    differs = {name: ~_bits(reference[name]).eq_missing(_bits(found[name])) for name in reference.columns}
    rows = pl.DataFrame(differs).select(pl.any_horizontal(pl.all()).alias("any"))["any"]
    first = rows.arg_max() if rows.any() else None
    return Comparison(
        door=door,
        compared=found.height,
        different=int(rows.sum()),
        by_column={name: int(column.sum()) for name, column in differs.items() if column.any()},
        first_row=first,
        first_columns=() if first is None else tuple(name for name, column in differs.items() if column[first]),
    )


def _bits(values: pl.Series) -> pl.Series:
    return values.reinterpret(signed=False) if values.dtype.is_float() else values

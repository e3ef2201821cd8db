"""How columns are read: most cells by one quick expression, the rest stage by stage, with the cause where unusable.

The quick expression of a column takes cells of the plain form and leaves all others null; only those go through the
stages. Stages exist because Polars expressions that refer to each other grow exponentially; each refers to the columns
of the stages before it by name. Making expressions costs more than reading one application with them, so readers are
kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

MISSING = "missing"
MISSING_TOKEN = "missing_token"  # noqa: S105 - a token of missing data, not a secret
UNREADABLE = "unreadable"
NOT_FINITE = "not_finite"
NOT_WHOLE = "not_a_whole_number"
OUT_OF_RANGE = "out_of_range"
TOO_MANY_DECIMALS = "too_many_decimals"
UNKNOWN = "unknown_category"

Stage = list[pl.Expr]
Condition = tuple[pl.Expr, str]
Columns = tuple[tuple[str, pl.DataType], ...]


def piece(name: str, part: str) -> pl.Expr:
    """Refer to a piece of a column that is being read."""
    return pl.col(f"{name}|{part}")


@dataclass(frozen=True, slots=True)
class Reading:
    """The stages of one column, the last of which makes the piece `value`, and what makes that value unusable.

    Where it is certain, `quick` gives the very value of the stages, from the raw column alone, and null elsewhere; it
    counts where `quick_check`, of that value, holds. Without it all cells go through the stages.
    """

    name: str
    stages: list[Stage]
    conditions: list[Condition]
    quick: pl.Expr | None = None
    quick_check: pl.Expr | None = None


@dataclass(frozen=True, slots=True)
class Cells:
    """A column that was read. In each row exactly one of value and cause is null."""

    values: pl.Series
    known_causes: pl.Series | None = None

    @property
    def causes(self) -> pl.Series:
        """The causes; where none are known, every null is a cell that was empty from the start."""
        if self.known_causes is not None:
            return self.known_causes
        return self.values.is_null().replace_strict({True: MISSING}, default=None, return_dtype=pl.String)


class Reader:
    """Reads a table of one schema. Safe to share between threads."""

    def __init__(self, readings: Sequence[Reading], others: Sequence[pl.Expr] = ()) -> None:
        """Prepare the expressions; `others` are columns that are made beside the readings."""
        quick = [r.quick.alias(r.name) for r in readings if r.quick is not None]
        checks = [pl.when(r.quick_check).then(r.name).alias(r.name) for r in readings if r.quick_check is not None]
        self._others, self._quick = len(others), ([*others, *quick], [checks])
        self._slow = [reading.name for reading in readings if reading.quick is None]
        self._stages = {reading.name: _stages(reading) for reading in readings}

    def read(self, table: pl.DataFrame) -> tuple[list[pl.Series], dict[str, Cells]]:
        """Return the other columns, and each reading's cells by name, in the order of the rows."""
        columns = _collect(table, *self._quick).get_columns()
        cells = {column.name: self._complete(table, column) for column in columns[self._others :]}
        cells.update({name: _read_slowly(table.select(name), self._stages[name]) for name in self._slow})
        return columns[: self._others], cells

    def _complete(self, table: pl.DataFrame, quick: pl.Series) -> Cells:
        missing = quick.null_count()
        column = table.select(quick.name)
        if missing == column.to_series().null_count():
            return Cells(quick)
        if missing == len(quick):
            return _read_slowly(column, self._stages[quick.name])
        rows = quick.is_null().arg_true()
        slow = _read_slowly(column[rows], self._stages[quick.name])
        replaced = pl.int_range(len(quick), len(quick) + missing, eager=True, dtype=pl.UInt32)
        places = pl.int_range(len(quick), eager=True, dtype=pl.UInt32).scatter(rows, replaced)
        absent = pl.repeat(None, len(quick), dtype=pl.String, eager=True)
        return Cells(pl.concat([quick, slow.values]).gather(places), pl.concat([absent, slow.causes]).gather(places))


_FEW_ROWS = 4096  # below, handing a column to another thread costs more than computing it


def _collect(table: pl.DataFrame, selected: Stage, added: Sequence[Stage], result: Stage | None = None) -> pl.DataFrame:
    """Select from a table, add stage by stage, and select the result of that (default: all columns)."""
    few, query = table.height <= _FEW_ROWS, table.lazy()
    query = query.select_seq(selected) if few else query.select(selected)
    for stage in added:
        query = query.with_columns_seq(stage) if few else query.with_columns(stage)
    query = query if result is None else query.select_seq(result)
    # Nothing is left to optimise in a chain of projections, and looking for it costs more than one small table.
    return query.collect(engine="in-memory", optimizations=pl.QueryOptFlags.none())


def _stages(reading: Reading) -> tuple[Stage, ...]:
    name = reading.name
    cause = _cause(reading).alias(f"{name}|cause")
    usable = pl.when(piece(name, "cause").is_null()).then(piece(name, "value")).alias(f"{name}|value")
    return (*reading.stages, [cause], [usable])


def _read_slowly(column: pl.DataFrame, stages: tuple[Stage, ...]) -> Cells:
    (name,) = column.columns
    read = _collect(column, [pl.col(name)], stages, [piece(name, "value").alias(name), piece(name, "cause")])
    return Cells(*read.get_columns())


def _cause(reading: Reading) -> pl.Expr:
    missing = (piece(reading.name, "value").is_null(), MISSING)
    result = pl.lit(None, dtype=pl.String)
    for condition, cause in reversed([*reading.conditions, missing]):
        result = pl.when(condition).then(pl.lit(cause)).otherwise(result)
    return result


def dirt_of(cells: Mapping[str, Cells]) -> dict[str, pl.Series]:
    """Collect the causes of the columns that have nulls."""
    return {name: column.causes for name, column in cells.items() if column.values.null_count()}

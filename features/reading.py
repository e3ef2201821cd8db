"""How columns are read: most cells by one quick expression, the rest stage by stage, with the cause where unusable.

The quick expression of a column takes cells of the plain form and leaves all others null; only those go through the
stages. Stages exist because Polars expressions that refer to each other grow exponentially; each refers to the columns
of the stages before it by name. Making expressions costs more than reading one application with them, so readers are
kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

MISSING = "missing"
MISSING_TOKEN = "missing_token"  # noqa: S105 - a token of missing data, not a secret
UNREADABLE = "unreadable"
NOT_FINITE = "not_finite"
NOT_WHOLE = "not_a_whole_number"
OUT_OF_RANGE = "out_of_range"
TOO_MANY_DECIMALS = "too_many_decimals"
UNKNOWN = "unknown_category"

FEW_ROWS = 4096  # up to here handing a column to another thread costs more than computing it
PLAIN_ROWS = 512  # up to here cells may be read one by one

Stage = list[pl.Expr]
Condition = tuple[pl.Expr, str]
Columns = tuple[tuple[str, pl.DataType], ...]


def piece(name: str, part: str) -> pl.Expr:
    """Refer to a piece of a column that is being read."""
    return pl.col(f"{name}|{part}")


@dataclass(frozen=True, slots=True)
class Unusable:
    """What a plain reader makes of a cell without a value: its cause."""

    cause: str


UNCERTAIN = Unusable("")  # it takes the stages to tell
_NULL = Unusable(MISSING)


@dataclass(frozen=True, slots=True)
class Plain:
    """Reads one text to a value of `dtype`, to `Unusable`, or to `UNCERTAIN` (see `features.plain_cells`).

    `whole` reads all texts of a column at once, or returns None where one of them is null or has another form.
    """

    dtype: pl.DataType
    read: Callable[[str], object]
    whole: Callable[[Sequence[str | None]], NDArray[np.int64] | None] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The stages of one column, the last of which makes the piece `value`, and what makes that value unusable.

    Where it is certain, `quick` gives the very value of the stages, from the raw column alone, and null elsewhere; it
    counts where `quick_check`, of that value, holds. Without it all cells go through the stages. `quick_cause` gives
    the very cause of cells that are certainly unusable, and null elsewhere. `plain` reads few texts.
    """

    name: str
    stages: list[Stage]
    conditions: list[Condition]
    quick: pl.Expr | None = None
    quick_check: pl.Expr | None = None
    quick_cause: pl.Expr | None = None
    plain: Plain | None = None


@dataclass(frozen=True, slots=True)
class Cells:
    """A column that was read. Its nulls have causes: of those at `rows` (positions), known ones; of others, MISSING."""

    values: pl.Series
    rows: NDArray[np.uint32] | None = None
    known: pl.Series | None = None

    @property
    def causes(self) -> pl.Series:
        """The cause of each null, in the order of the rows; null where there is a value."""
        causes = self.values.is_null().replace_strict({True: MISSING}, default=None, return_dtype=pl.String)
        return causes if self.rows is None or self.known is None else causes.scatter(self.rows, self.known)

    @property
    def dirt(self) -> list[str | None]:
        """The causes of the nulls; those of the rows that have values are None."""
        known = [] if self.known is None else self.known.to_list()
        return known + [MISSING] * (self.values.null_count() - len(known) + known.count(None))


def has_few_rows(table: pl.DataFrame) -> bool:
    """Tell whether the fixed costs of expressions are more than what Python costs for each cell."""
    return table.height <= PLAIN_ROWS


class Reader:
    """Reads a table of one schema. Safe to share between threads."""

    def __init__(self, readings: Sequence[Reading], others: Sequence[pl.Expr] = ()) -> None:
        """Prepare the expressions; `others` are columns that are made beside the readings."""
        self._others = [*others]
        self._quick = {r.name: r.quick.alias(r.name) for r in readings if r.quick is not None}
        checked = [(r.name, r.quick_check) for r in readings if r.quick_check is not None]
        self._checks = {name: pl.when(check).then(name).alias(name) for name, check in checked}
        self._causes = {r.name: r.quick_cause.alias("cause") for r in readings if r.quick_cause is not None}
        self._stages = {reading.name: _stages(reading) for reading in readings}
        self._plain = {reading.name: reading.plain for reading in readings if reading.plain is not None}

    def others(self, table: pl.DataFrame) -> list[pl.Series]:
        """Return the columns beside the readings."""
        return _collect(table, self._others, []).get_columns()

    def read(self, table: pl.DataFrame) -> dict[str, Cells]:
        """Return each reading's cells by name, in the order of the rows."""
        cells = {}
        for name, plain in self._plain.items() if table.height <= FEW_ROWS else ():
            column = table.get_column(name)
            whole = self.read_whole(name, column.to_list()) if plain.whole else None
            if whole is not None:
                cells[name] = Cells(pl.Series(name, whole))
            elif has_few_rows(table):
                cells[name] = self._read_one_by_one(column, plain)
        rest = [name for name in self._stages if name not in cells]
        return cells | self._read_in_columns(table, rest) if rest else cells

    def _read_in_columns(self, table: pl.DataFrame, names: list[str]) -> dict[str, Cells]:
        quick = [self._quick[name] for name in names if name in self._quick]
        checks = [self._checks[name] for name in names if name in self._checks]
        columns = _collect(table, quick, [checks]).get_columns()
        cells = {column.name: self._complete(table.get_column(column.name), column) for column in columns}
        slow = [name for name in names if name not in self._quick]
        return cells | {name: _read_slowly(table.get_column(name), self._stages[name]) for name in slow}

    def read_texts(self, name: str, cells: Sequence[str | None]) -> tuple[list[Any], dict[int, str]]:
        """Read few texts of a column: values, None where there is none, and by position the cause of each of those."""
        plain = self._plain.get(name)
        read = plain.read if plain else _tell_nothing
        values: list[Any] = [_NULL if cell is None else read(cell) for cell in cells]
        if Unusable not in set(map(type, values)):
            return values, {}
        causes = {i: value.cause for i, value in enumerate(values) if type(value) is Unusable}
        values = [None if type(value) is Unusable else value for value in values]
        uncertain = [i for i, cause in causes.items() if not cause]
        if uncertain:
            column = pl.Series(name, [cells[i] for i in uncertain], dtype=pl.String)
            slow = _read_slowly(column, self._stages[name])
            for i, value, cause in zip(uncertain, slow.values.to_list(), slow.causes.to_list(), strict=True):
                values[i], causes[i] = value, cause
        return values, {i: cause for i, cause in causes.items() if cause}

    def read_whole(self, name: str, cells: Sequence[str | None]) -> NDArray[np.int64] | None:
        """Read all texts of a column at once, if each has the form of which its plain reader is certain."""
        plain = self._plain.get(name)
        return plain.whole(cells) if plain and plain.whole else None

    def _read_one_by_one(self, column: pl.Series, plain: Plain) -> Cells:
        values, causes = self.read_texts(column.name, column.to_list())
        read = pl.Series(column.name, values, plain.dtype)
        if not causes:
            return Cells(read)
        return Cells(read, np.array(list(causes), dtype=np.uint32), pl.Series(list(causes.values()), dtype=pl.String))

    def _complete(self, column: pl.Series, quick: pl.Series) -> Cells:
        missing = quick.null_count()
        if missing == column.null_count():
            return Cells(quick)
        if missing == len(quick):
            return self._judge(column, quick)
        rows = np.flatnonzero(quick.is_null().to_numpy()).astype(np.uint32)
        slow = self._judge(column[rows], quick)
        places = np.arange(len(quick), dtype=np.uint32)
        places[rows] = np.arange(len(quick), len(quick) + missing)
        return Cells(pl.concat([quick, slow.values])[places], rows, slow.causes if slow.known is None else slow.known)

    def _judge(self, column: pl.Series, quick: pl.Series) -> Cells:
        """Read cells of which the quick expression made nothing."""
        if column.name in self._causes:
            causes = column.to_frame().select_seq(self._causes[column.name]).to_series()
            if causes.null_count() == column.null_count():
                return _all_rows(quick.clear(len(column)), causes.fill_null(MISSING))
        return _read_slowly(column, self._stages[column.name])


def _collect(table: pl.DataFrame, selected: Stage, added: Sequence[Stage], result: Stage | None = None) -> pl.DataFrame:
    """Select from a table, add stage by stage, and select the result of that (default: all columns)."""
    few, query = table.height <= FEW_ROWS, table.lazy()
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


def _tell_nothing(_cell: str) -> object:
    return UNCERTAIN


def _read_slowly(column: pl.Series, stages: tuple[Stage, ...]) -> Cells:
    name = column.name
    read = _collect(column.to_frame(), [pl.col(name)], stages, [piece(name, "value").alias(name), piece(name, "cause")])
    return _all_rows(*read.get_columns())


def _all_rows(values: pl.Series, causes: pl.Series) -> Cells:
    return Cells(values, np.arange(len(values), dtype=np.uint32), causes)


def _cause(reading: Reading) -> pl.Expr:
    missing = (piece(reading.name, "value").is_null(), MISSING)
    result = pl.lit(None, dtype=pl.String)
    for condition, cause in reversed([*reading.conditions, missing]):
        result = pl.when(condition).then(pl.lit(cause)).otherwise(result)
    return result

"""How a column is read: one definition of what a cell means, in plain Python, and what makes many cells quick.

The definition takes one text. It is asked once for each distinct cell. One Polars expression of a column, `quick`,
takes the cells of the forms that programs write, all at once; those that it is not sure of go to the definition.
The tests hold both to each other. Making expressions costs more than reading one application with them, so readers are
kept.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells.causes import AFTER, IS_MISSING, MISSING, UNREADABLE, Unusable

FEW_ROWS = 4096  # up to here handing a column to another thread costs more than computing it
PLAIN_ROWS = 512  # up to here all cells are read one by one

Definition = Callable[[str], object]
Columns = tuple[tuple[str, pl.DataType], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How one column is read.

    `read` is the definition: a text to its value, of `dtype`, or to `Unusable`. `text` makes the text of a typed cell,
    as a CSV file would hold it; None where the column is text. `quick` gives the very value of the definition where it
    is certain and null elsewhere; it counts where `check`, of that value, holds, and has the cause `why` elsewhere.
    `second` is the same for rarer forms, and is only shown the different texts that `quick` was not sure of; `hopeless`
    tells of the rest which ones the definition would call UNREADABLE. `whole` reads all texts of a column at once, or
    returns None where one of them is null or has another form.
    """

    name: str
    dtype: pl.DataType
    read: Definition
    text: pl.Expr | None = None
    quick: pl.Expr | None = None
    check: pl.Expr | None = None
    why: pl.Expr | None = None
    second: pl.Expr | None = None
    hopeless: pl.Expr | None = None
    whole: Callable[[Sequence[str | None]], NDArray[np.int64] | None] | None = None


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

    def dirt_among(self, kept: NDArray[np.bool_]) -> list[str | None]:
        """The same of the rows that are kept."""
        known = None if self.known is None or self.rows is None else self.known.filter(pl.Series(kept[self.rows]))
        return Cells(self.values.filter(pl.Series(kept)), known=known).dirt


def related(cells: Cells, values: pl.Series) -> Cells:
    """Put other values in the place of those of cells; where there is none any more, the cause is AFTER."""
    values = values.alias(cells.values.name)
    late = values.is_null() & cells.values.is_not_null()
    if not late.any():
        return Cells(values, cells.rows, cells.known)
    return Cells(values, *_causes_of_all(cells.causes.set(late, AFTER)))


def _causes_of_all(causes: pl.Series) -> tuple[NDArray[np.uint32], pl.Series]:
    return np.arange(len(causes), dtype=np.uint32), causes


def has_few_rows(table: pl.DataFrame) -> bool:
    """Tell whether the fixed costs of expressions are more than what Python costs for each cell."""
    return table.height <= PLAIN_ROWS


class Reader:
    """Reads a table of one schema. Safe to share between threads."""

    def __init__(self, readings: Sequence[Reading], others: Sequence[pl.Expr] = ()) -> None:
        """Prepare the expressions; `others` are columns that are made beside the readings."""
        self._others = [*others]
        self._readings = {reading.name: reading for reading in readings}
        self._quick = {r.name: r.quick.alias(r.name) for r in readings if r.quick is not None}
        checked = [(r.name, r.check) for r in readings if r.check is not None]
        self._checks = {name: pl.when(check).then(name).alias(name) for name, check in checked}

    def others(self, table: pl.DataFrame) -> list[pl.Series]:
        """Return the columns beside the readings."""
        return _collect(table, self._others).get_columns()

    def read(self, table: pl.DataFrame) -> dict[str, Cells]:
        """Return each reading's cells by name, in the order of the rows."""
        cells = {}
        for name, reading in self._readings.items() if table.height <= FEW_ROWS else ():
            if reading.text is not None:
                continue
            column = table.get_column(name)
            whole = reading.whole(column.to_list()) if reading.whole else None
            if whole is not None:
                cells[name] = Cells(pl.Series(name, whole))
            elif has_few_rows(table):
                cells[name] = _all_rows(column, reading)
        rest = [name for name in self._readings if name not in cells]
        return cells | self._read_in_columns(table, rest) if rest else cells

    def _read_in_columns(self, table: pl.DataFrame, names: list[str]) -> dict[str, Cells]:
        quick = [self._quick[name] for name in names if name in self._quick]
        checks = [self._checks[name] for name in names if name in self._checks]
        made = _collect(table, quick, checks).get_columns()
        cells = {
            quick.name: _complete(table.get_column(quick.name), quick, self._readings[quick.name]) for quick in made
        }
        slow = [name for name in names if name not in self._quick]
        return cells | {name: _all_rows(table.get_column(name), self._readings[name]) for name in slow}

    def texts(self, name: str, column: pl.Series) -> pl.Series:
        """Return the texts that cells of a column stand for, as a CSV file would hold them."""
        text = self._readings[name].text
        return column if text is None else column.to_frame().select_seq(text).to_series()

    def read_texts(self, name: str, cells: Sequence[str | None]) -> tuple[list[Any], dict[int, str]]:
        """Read few texts of a column: values, None where there is none, and by position the cause of each of those."""
        return _read_texts(self._readings[name].read, cells)

    def read_whole(self, name: str, cells: Sequence[str | None]) -> NDArray[np.int64] | None:
        """Read all texts of a column at once, if each has the form for which there is a quick way."""
        whole = self._readings[name].whole
        return whole(cells) if whole else None


def _read_texts(read: Definition, cells: Sequence[str | None]) -> tuple[list[Any], dict[int, str]]:
    values: list[Any] = [IS_MISSING if cell is None else read(cell) for cell in cells]
    if Unusable not in set(map(type, values)):
        return values, {}
    causes = {i: value.cause for i, value in enumerate(values) if type(value) is Unusable}
    return [None if type(value) is Unusable else value for value in values], causes


def _complete(column: pl.Series, quick: pl.Series, reading: Reading) -> Cells:
    """Ask the definition for the cells of which the quick expression made nothing."""
    unsure = quick.null_count()
    if unsure == column.null_count():
        return Cells(quick)
    if unsure == len(quick):
        return _all_rows(column, reading)
    rows = np.flatnonzero(quick.is_null().to_numpy()).astype(np.uint32)
    values, causes = _define(column[rows], reading)
    places = np.arange(len(quick), dtype=np.uint32)
    places[rows] = np.arange(len(quick), len(quick) + unsure)
    return Cells(pl.concat([quick, values])[places], rows, causes)


def _all_rows(column: pl.Series, reading: Reading) -> Cells:
    values, causes = _define(column, reading)
    return Cells(values) if causes is None else Cells(values, np.arange(len(values), dtype=np.uint32), causes)


def _define(column: pl.Series, reading: Reading) -> tuple[pl.Series, pl.Series | None]:
    """Ask the definition for each distinct cell; return values and causes of all cells, None where none has one."""
    texts = column if reading.text is None else column.to_frame().select_seq(reading.text).to_series()
    few = len(texts) <= PLAIN_ROWS
    asked = texts if few or texts.n_unique() == len(texts) else texts.unique()
    second = None if few else reading.second
    made, why = _read_all(asked, reading) if second is None else _read_twice(asked, reading, second)
    if asked is texts:
        return made, why
    places = _places(texts, asked)
    return made[places], None if why is None else why[places]


def _read_all(texts: pl.Series, reading: Reading) -> tuple[pl.Series, pl.Series | None]:
    values, causes = _read_texts(reading.read, texts.to_list())
    why = pl.Series([causes.get(i) for i in range(len(values))], dtype=pl.String) if causes else None
    return pl.Series(reading.name, values, reading.dtype), why


def _read_twice(texts: pl.Series, reading: Reading, second: pl.Expr) -> tuple[pl.Series, pl.Series | None]:
    """Read different texts by the second expression, and those that it is not sure of by the definition."""
    found = texts.alias(reading.name).to_frame().select_seq(second.alias(reading.name))
    check, why = pl.lit(value=True) if reading.check is None else reading.check, reading.why
    values, causes = found.select_seq(
        pl.when(check).then(reading.name).alias(reading.name),
        pl.when(~check).then(pl.lit(None, pl.String) if why is None else why).alias("cause"),
    ).get_columns()
    nothing = values.is_null().to_numpy()
    if not nothing.any():
        return values, None
    causes = causes.scatter(np.flatnonzero(_hopeless(texts, nothing, reading)), UNREADABLE)
    rest = np.flatnonzero(nothing & causes.is_null().to_numpy())
    made, told = _read_all(texts[rest], reading)
    return values.scatter(rest, made), causes if told is None else causes.scatter(rest, told)


def _hopeless(texts: pl.Series, nothing: NDArray[np.bool_], reading: Reading) -> NDArray[np.bool_]:
    if reading.hopeless is None:
        return np.zeros(len(nothing), dtype=np.bool_)
    told = texts.alias(reading.name).to_frame().select_seq(reading.hopeless).to_series().fill_null(value=False)
    hopeless: NDArray[np.bool_] = told.to_numpy() & nothing
    return hopeless


def _places(texts: pl.Series, distinct: pl.Series) -> pl.Series:
    """Return where each text stands among the distinct ones."""
    found = pl.DataFrame({"text": distinct}).with_row_index("place")
    wanted = texts.rename("text").to_frame()
    return wanted.join(found, on="text", how="left", nulls_equal=True, maintain_order="left").get_column("place")


def _collect(table: pl.DataFrame, selected: list[pl.Expr], added: Sequence[pl.Expr] = ()) -> pl.DataFrame:
    """Select from a table, and put added columns in the place of those."""
    few, query = table.height <= FEW_ROWS, table.lazy()
    query = query.select_seq(selected) if few else query.select(selected)
    query = query.with_columns_seq(added) if few else query.with_columns(added)
    # Nothing is left to optimise in a chain of projections, and looking for it costs more than one small table.
    return query.collect(engine="in-memory", optimizations=pl.QueryOptFlags.none())


def all_match(form: str) -> Callable[[str], object]:
    """Return what tells whether each line of a text has a form, which must not match line ends."""
    return re.compile(rf"{form}(?:\n{form})*").fullmatch


def joined_lines(cells: Sequence[str | None]) -> str:
    """Join texts; where one is null there is no text, which has none of the forms."""
    try:
        return "\n".join(cells)  # type: ignore[arg-type]
    except TypeError:
        return ""

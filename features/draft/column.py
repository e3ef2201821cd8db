"""A column as the drafter looks at it: its different cells, how often each occurs, and what is written in them."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """The different cells of a column that are neither null nor blank, as typed, and how many rows hold each.

    `rows` counts all rows, `customers` the different customers.
    """

    name: str
    cells: pl.Series
    counts: NDArray[np.int64]
    rows: int
    customers: int
    text: pl.Series = field(repr=False)

    @property
    def filled(self) -> int:
        """Count the rows that hold something."""
        return int(self.counts.sum())

    def only(self, wanted: pl.Series) -> "Column":
        """Select cells by mask."""
        mask = wanted.fill_null(value=False)
        chosen = self.counts[mask.to_numpy()]
        return Column(self.name, self.cells.filter(mask), chosen, self.rows, self.customers, self.text.filter(mask))

    def rows_of(self, wanted: pl.Series) -> int:
        """Count the rows of the cells of a mask."""
        return int(self.counts[wanted.fill_null(value=False).to_numpy()].sum())

    def share(self, wanted: pl.Series) -> float:
        """Return the share of the filled rows whose cells a mask selects."""
        return self.rows_of(wanted) / max(self.filled, 1)


def look_at(column: pl.Series, customers: int) -> Column:
    """Gather the different cells of a column, text or typed."""
    counted = column.drop_nulls().rename("cell").value_counts(name="rows")
    text = counted["cell"].cast(pl.String).str.strip_chars()
    filled = text != ""
    counted, text = counted.filter(filled), text.filter(filled)
    counts = counted["rows"].cast(pl.Int64).to_numpy()
    return Column(column.name, counted["cell"], counts, len(column), customers, text)

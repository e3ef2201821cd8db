"""How often the worst class came true among some rows, beside the others: becoming missing must not flatter."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.spec.telling import telling

_SAMPLE = 200_000


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Class index of each row of the applications (-1: no label), worst first, and the codes of their customers."""

    actual: NDArray[np.int64]
    customers: NDArray[np.int64]
    worst: str

    def beside_the_rest(self, column: pl.Series, chosen: pl.Series) -> str:
        """Say the share of the worst class among rows with a `chosen` cell, and among the other filled ones."""
        return self.rows_beside_the_rest(column, column.is_in(chosen.implode()).fill_null(value=False))

    def rows_beside_the_rest(self, column: pl.Series, chosen: pl.Series) -> str:
        """Say the same of the rows of a mask."""
        inside, filled = chosen.to_numpy(), column.is_not_null().to_numpy()
        shares = [self._share(rows) for rows in (inside, filled & ~inside)]
        if None in shares:
            return ""
        return f", {shares[0]:.1%} {self.worst} against {shares[1]:.1%} of the rest"

    def _share(self, rows: NDArray[np.bool_]) -> float | None:
        known = self.actual[rows]
        known = known[known >= 0]
        return float((known == 0).mean()) if len(known) else None

    def telling(self, column: pl.Series) -> float:
        """Return how well the column tells a class by itself, on at most 200,000 labelled rows evenly spread."""
        labelled = np.flatnonzero(self.actual >= 0)
        labelled = labelled[:: max(1, -(-len(labelled) // _SAMPLE))]
        if not len(labelled):
            return 0.5
        own = column.gather(labelled)
        own = own.cast(pl.String) if own.dtype in (pl.Categorical, pl.Enum) else own
        numeric = own.cast(pl.Float64, strict=False) if own.dtype != pl.Boolean else own.cast(pl.Float64)
        if numeric.null_count() > own.null_count():
            codes = own.cast(pl.String).rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
        else:
            codes = numeric.fill_null(float("nan")).to_numpy()
        return telling(codes, self.actual[labelled], self.customers[labelled])

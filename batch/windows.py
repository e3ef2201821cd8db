"""Rows by window of the input, so that what is scored in any order comes out in that of the input."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from storage.spool import Spool

WINDOW_ROWS = 1 << 16
_KEY = "|key"


def by_window(frame: pl.DataFrame, row: str, first: int) -> dict[int, pl.DataFrame]:
    """Cut a frame by the window of its column `row`; numbers of windows begin at `first`."""
    key = ((pl.col(row) - 1) // WINDOW_ROWS).alias(_KEY)
    parts = frame.with_columns(key).partition_by(_KEY, as_dict=True, include_key=False)
    return {first + int(window): part for (window,), part in parts.items()}


def in_order(spool: Spool, row: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a spool by window, each in the order of the input."""
    for window in spool.keys():  # noqa: SIM118 - no mapping
        yield spool.read(window).sort(row)


def without(rows: pl.Series, refused: pl.Series) -> pl.Series:
    """Return what is left of `rows` where those at the 1-based positions `refused` are taken out."""
    kept = np.ones(len(rows), dtype=np.bool_)
    kept[refused.to_numpy() - 1] = False
    return rows.filter(pl.Series(kept))

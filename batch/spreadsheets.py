"""Cells that a spreadsheet would take for formulas, as an id of somebody else may be one."""

import polars as pl

_BEGINS = r"^[=+\-@\t\r\n]"


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with an apostrophe before each text that begins with = + - @, a tab or a line end.

    >>> without_formulas(pl.DataFrame({"id": ["=1+1", "A-1", None], "x": [-1.0, 2.0, 3.0]}))["id"].to_list()
    ["'=1+1", 'A-1', None]
    """
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    made = [
        pl.when(pl.col(name).str.contains(_BEGINS)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in texts
    ]
    return frame.with_columns(made)

"""Cells that the draft takes as missing although something stands in them: said with how they came out."""

from collections.abc import Iterator, Sequence

import polars as pl

from features.draft.column import Column
from features.draft.kinds import is_word_for_missing
from features.draft.rates import Outcomes
from features.draft.read_back import read_back
from features.spec.toml_table import toml_text

FEW_LISTED = 8


def odd_tokens(series: pl.Series, tokens: Column, outcomes: Outcomes | None) -> Iterator[str]:
    """Say which cells without a letter or digit, or garbled, are taken as "not known": only a person can tell."""
    odd = ~is_word_for_missing(tokens.text)
    if rows := tokens.rows_of(odd):
        listed = ", ".join(toml_text(text) for text in sorted(tokens.text.filter(odd).unique())[:FEW_LISTED])
        beside = outcomes.beside_the_rest(series, tokens.cells.filter(odd)) if outcomes else ""
        yield f'{listed} is taken as "not known": {rows:,} cells{beside}'


def later_dates(
    lines: Sequence[str], series: pl.Series, known: Column, outcomes: Outcomes | None, as_of: pl.Series | None
) -> Iterator[str]:
    """Say how many dates lie after `as_of`: they were not known then."""
    if as_of is None or len(lines) < 2 or not lines[1].startswith('kind = "date"'):
        return
    read = pl.Series(read_back(lines, known.cells, numeric=True).numbers).fill_nan(None)  # NaN is above every number
    days = pl.DataFrame({"cell": known.cells, "day": read})
    cells = series.rename("cell").to_frame().with_columns(as_of=as_of)
    late = cells.join(days, on="cell", how="left", maintain_order="left").select(pl.col("day") > pl.col("as_of"))
    rows = late.to_series().fill_null(value=False)
    if rows.any():
        beside = outcomes.rows_beside_the_rest(series, rows) if outcomes else ""
        yield f"{rows.sum():,} cells lie after as_of: they were not known then and become missing{beside}"

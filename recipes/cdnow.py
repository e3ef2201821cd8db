"""CDNOW: every purchase of 23,570 customers from January 1997 to June 1998, the classic RFM data set.

Each customer applies on 1997-10-01; the class is Good if they buy again in the nine months after. Purchases of later
days are events too: whoever computes features must not see them.
"""

import polars as pl

from features.errors import InputError
from recipes.dataset import EVENTS_SCHEMA, Dataset, spec_text

__all__ = ["cdnow"]

_COLUMNS = ("customer", "date", "discs", "dollars")
_LINE = r"^\s*(\S+)\s+(\d{8})\s+(\d+)\s+(\d+\.\d{2})\s*$"


def cdnow(text: str) -> Dataset:
    """Turn the published text (customer, date, number of discs, dollars) into canonical tables.

    Raises:
        InputError: a line is not of that form; names it.

    """
    lines = pl.DataFrame({"line": text.splitlines()[1:]}).with_row_index("number", offset=2)
    groups = [pl.col("line").str.extract(_LINE, i + 1).alias(name) for i, name in enumerate(_COLUMNS)]
    rows = lines.filter(pl.col("line").str.strip_chars() != "").select("number", *groups)
    wrong = rows.filter(pl.col("dollars").is_null())
    if rows.is_empty() or not wrong.is_empty():
        line = 1 if rows.is_empty() else wrong["number"][0]
        raise InputError(
            f"the CDNOW file: line {line} is not `customer yyyymmdd discs dollars`. Use the published file."
        )
    rows = rows.with_columns(pl.col("date").str.to_date("%Y%m%d"))
    as_of = pl.date(1997, 10, 1)
    customers = rows.group_by("customer", maintain_order=True).agg((pl.col("date") >= as_of).any().alias("again"))
    identity = [pl.format("cdnow-{}", "customer").alias("application_id"), pl.col("customer").alias("customer_id")]
    label = pl.when("again").then(pl.lit("Good")).otherwise(pl.lit("Poor"))
    return Dataset(
        applications=customers.select(*identity, as_of.alias("as_of")),
        events=pl.concat([_events(rows, "purchase", "dollars"), _events(rows, "discs", "discs")]),
        labels=customers.select(identity[0], label.alias("credit_class")),
        spec_text=spec_text("cdnow"),
    )


def _events(rows: pl.DataFrame, kind: str, amount: str) -> pl.DataFrame:
    return rows.select(
        pl.col("customer").alias("customer_id"),
        pl.col("date").cast(EVENTS_SCHEMA["occurred_at"]).alias("occurred_at"),
        pl.lit(kind).alias("kind"),
        pl.col(amount).cast(EVENTS_SCHEMA["amount"]).alias("amount"),
        pl.lit(None, dtype=EVENTS_SCHEMA["recorded_at"]).alias("recorded_at"),
    )

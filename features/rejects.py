"""Rejects and dirt: the two tables that account for everything that was not scored as it came."""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

__all__ = ["APPLICATIONS", "DIRT", "EVENTS", "EXPECTED", "REJECTS", "Dirt", "dirt_frame", "rejects_frame"]

REJECTS = pl.Schema(
    {
        "table": pl.String,
        "row": pl.Int64,
        "application_id": pl.String,
        "column": pl.String,
        "code": pl.String,
        "event_row": pl.Int64,
        "expected": pl.String,
    }
)
DIRT = pl.Schema({"table": pl.String, "column": pl.String, "cause": pl.String, "cells": pl.Int64})

Dirt = tuple[str, str, str, int]  # a row of `DIRT`

APPLICATIONS = "applications"
EVENTS = "events"

# Every reject code and what would have been usable. Codes are a promise to the programs that read rejects files.
EXPECTED = {
    "application_id_missing": "a text that identifies the application",
    "application_id_unusable": "at most 256 bytes of text without control characters",
    "application_id_repeated": "each application_id once; correct or remove all but one of the rows that share it",
    "customer_id_missing": "a text that identifies the customer",
    "customer_id_unusable": "at most 256 bytes of text without control characters",
    "as_of_missing": "an instant such as 2026-08-31T00:00:00Z, or a date",
    "as_of_unreadable": "an instant such as 2026-08-31T00:00:00Z, or a date that exists",
    "as_of_out_of_range": "an instant from 1970 to 2199",
    "attribute_missing": "a value: the spec requires this attribute",
    "attribute_missing_token": "a value: the spec requires this attribute",
    "attribute_unreadable": "a value of the attribute's kind: the spec requires this attribute",
    "attribute_not_finite": "a finite number: the spec requires this attribute",
    "attribute_not_a_whole_number": "a whole number: the spec requires this attribute",
    "attribute_out_of_range": "a value in the range of the spec, which requires this attribute",
    "attribute_too_many_decimals": "money with at most the currency's decimals: the spec requires this attribute",
    "attribute_after_as_of": "a date that lies before as_of: the spec requires this attribute",
    "attribute_unknown_category": "a category of the spec, which requires this attribute",
    "event_customer_id_missing": "a customer_id on every event",
    "event_customer_id_unusable": "at most 256 bytes of text without control characters",
    "event_kind_missing": "a kind on every event",
    "event_kind_unknown_category": "a kind that the spec declares in events.kinds or events.ignored",
    "event_occurred_at_missing": "an instant such as 2026-08-31T00:00:00Z, or a date",
    "event_occurred_at_unreadable": "an instant such as 2026-08-31T00:00:00Z, or a date that exists",
    "event_occurred_at_out_of_range": "an instant from 1970 to 2199",
    "event_recorded_at_unreadable": "an instant such as 2026-08-31T00:00:00Z, a date that exists, or nothing",
    "event_recorded_at_out_of_range": "an instant from 1970 to 2199, or nothing",
    "event_amount_missing": "an amount on every event, 0 if no money moved",
    "event_amount_unreadable": "a decimal number such as -34847.84",
    "event_amount_not_finite": "a finite decimal number",
    "event_amount_too_many_decimals": "at most the currency's decimals",
    "event_amount_out_of_range": "at most 10^13 minor units",
}


def rejects_frame(rows: pl.DataFrame | None = None) -> pl.DataFrame:
    """Complete a frame that holds some of the columns of `REJECTS`, among them `code`, to that schema.

    Without a frame, or with one without rows, no reject.
    """
    if rows is None or rows.is_empty():
        return _NO_REJECTS
    missing = [name for name in REJECTS.names() if name not in (*rows.columns, "expected")]
    return rows.with_columns(
        *[pl.lit(None, dtype=REJECTS[name]).alias(name) for name in missing],
        pl.col("code").replace_strict(EXPECTED, return_dtype=pl.String).alias("expected"),
    ).select(pl.col(name).cast(dtype) for name, dtype in REJECTS.items())


def count_dirt(table: str, causes: Mapping[str, Sequence[str | None]]) -> list[Dirt]:
    """Count the causes of each column, in the order of the columns, then of the causes; None is no cause."""
    return [
        (table, name, cause, count)
        for name, cells in causes.items()
        for cause, count in sorted(Counter(cell for cell in cells if cell is not None).items())
    ]


def dirt_frame(counts: list[Dirt]) -> pl.DataFrame:
    """Lay counts out as `DIRT`."""
    return pl.DataFrame(counts, schema=DIRT, orient="row")


_NO_REJECTS = pl.DataFrame(schema=REJECTS)

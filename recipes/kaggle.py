"""Kaggle "Credit score classification" (parisrohan): the cleaned panel, and the raw dirty file of one month.

Each customer has a row a month. The row of a month is an application on the 28th at 00:00; twelve hours later it
becomes account events, so that an application sees the months before it and never its own, and RFM features carry the
customer's history. Names and social security numbers are never read. Labels are never made into events.
"""

from datetime import UTC, datetime, timedelta

import polars as pl

from features.errors import InputError
from recipes.dataset import EVENTS_SCHEMA, Dataset, spec_text

__all__ = ["kaggle", "kaggle_raw"]

_YEAR = 2023  # the data set names months, not years
_AUGUST = 8
_MEASURED = {
    "delay": "Delay_from_due_date",
    "delayed_payments": "Num_of_Delayed_Payment",
    "enquiries": "Num_Credit_Inquiries",
    "limit_change": "Changed_Credit_Limit",
    "utilisation": "Credit_Utilization_Ratio",
    "balance": "Monthly_Balance",
    "debt": "Outstanding_Debt",
    "salary": "Monthly_Inhand_Salary",
    "instalments": "Total_EMI_per_month",
    "investment": "Amount_invested_monthly",
}
_FLAGS = {
    "minimum_only": pl.col("Payment_of_Min_Amount") == "Yes",
    "high_spending": pl.col("Payment_Behaviour").str.starts_with("High"),
    "mix_bad": pl.col("Credit_Mix") == "Bad",
    "mix_good": pl.col("Credit_Mix") == "Good",
}
_CATEGORIES = ("Occupation", "Credit_Mix", "Payment_of_Min_Amount", "Payment_Behaviour")
_NUMBERS = (
    "Annual_Income",
    "Monthly_Inhand_Salary",
    "Num_Bank_Accounts",
    "Num_Credit_Card",
    "Interest_Rate",
    "Num_of_Loan",
    "Delay_from_due_date",
    "Num_of_Delayed_Payment",
    "Changed_Credit_Limit",
    "Num_Credit_Inquiries",
    "Outstanding_Debt",
    "Credit_Utilization_Ratio",
    "Credit_History_Age",
    "Total_EMI_per_month",
    "Amount_invested_monthly",
    "Monthly_Balance",
)


def kaggle(panel: pl.DataFrame) -> Dataset:
    """Turn the panel (one row per Customer_ID and Month) into canonical tables.

    Raises:
        InputError: a column is missing.

    """
    _require(panel, ("Customer_ID", "Month", "Credit_Score", *_NUMBERS, *_CATEGORIES), "the panel")
    rows = panel.sort("Customer_ID", "Month").with_columns(
        pl.format("{}-{}", "Customer_ID", pl.col("Month").cast(pl.String).str.zfill(2)).alias("application_id"),
        pl.col("Customer_ID").cast(pl.String).alias("customer_id"),
        _as_of(pl.col("Month")).alias("as_of"),
        *[pl.col(name).cast(pl.String) for name in _CATEGORIES],
        *[pl.col(name).cast(pl.Float64) for name in _NUMBERS],
    )
    names = [name for name in panel.columns if name in (*_NUMBERS, *_CATEGORIES)]
    return Dataset(
        applications=rows.select("application_id", "customer_id", "as_of", *names),
        events=_events(rows),
        labels=rows.select("application_id", pl.col("Credit_Score").cast(pl.String).alias("credit_class")),
        spec_text=spec_text("kaggle"),
    )


def kaggle_raw(raw: pl.DataFrame, history: pl.DataFrame | None) -> Dataset:
    """Turn the raw August rows (all columns as text) into canonical tables, cells untouched.

    `history` is the panel, whose earlier months become the customers' events; without it there are no events.

    Raises:
        InputError: a column is missing, or a Customer_ID is not of the form CUS_0x...

    """
    _require(raw, ("Customer_ID", "Credit_Score", *_NUMBERS, *_CATEGORIES), "the raw file")
    number = raw["Customer_ID"].str.extract("^CUS_0x([0-9a-f]+)$", 1).str.to_integer(base=16, strict=False)
    if number.null_count():
        raise InputError(
            f"the raw file: {number.null_count()} rows have a Customer_ID that is not CUS_0x and hex digits."
        )
    rows = raw.with_columns(
        pl.format("{}-08", number.cast(pl.String)).alias("application_id"),
        number.cast(pl.String).alias("customer_id"),
        pl.lit(f"{_YEAR}-{_AUGUST:02d}-28").alias("as_of"),
    )
    names = [name for name in raw.columns if name in (*_NUMBERS, *_CATEGORIES)]
    events = pl.DataFrame(schema=EVENTS_SCHEMA) if history is None else kaggle(history).events
    return Dataset(
        applications=rows.select("application_id", "customer_id", "as_of", *names),
        events=events,
        labels=rows.select("application_id", pl.col("Credit_Score").alias("credit_class")),
        spec_text=spec_text("kaggle"),
        raw_applications=True,
    )


def _require(table: pl.DataFrame, columns: tuple[str, ...], name: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{name}: column {', '.join(missing)} is missing. Expected the file as published on Kaggle.")


def _as_of(month: pl.Expr) -> pl.Expr:
    dates = {m: datetime(_YEAR, m, 28, tzinfo=UTC) for m in range(1, 13)}
    return month.cast(pl.Int64).replace_strict(dates, return_dtype=pl.Datetime("us", "UTC"))


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    """One event per month and measured column (its value as amount), and one per month and flag that holds."""
    occurred_at = (pl.col("as_of") + timedelta(hours=12)).alias("occurred_at")

    def of(kind: str, amount: pl.Expr, where: pl.Expr) -> pl.DataFrame:
        return rows.filter(where).select(
            "customer_id",
            occurred_at,
            pl.lit(kind).alias("kind"),
            amount.round(2).cast(EVENTS_SCHEMA["amount"]).alias("amount"),
            pl.lit(None, dtype=EVENTS_SCHEMA["recorded_at"]).alias("recorded_at"),
        )

    measured = [of(kind, pl.col(name), pl.col(name).is_not_null()) for kind, name in _MEASURED.items()]
    flags = [of(kind, pl.lit(0.0), condition) for kind, condition in _FLAGS.items()]
    return pl.concat([*measured, *flags]).sort("customer_id", "occurred_at", "kind")

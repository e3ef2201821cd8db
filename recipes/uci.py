"""UCI "default of credit card clients" (Taiwan, 2005): six months of bills, payments and delays, and the real outcome.

Each client is one application on 2005-10-01. The raw columns stay attributes, untouched text (3,370 cells are in
exponent form); the same six months are also account events. PAY_0 is September and is followed by PAY_2. A repayment
status from 1 is a delay of so many months; -1 paid duly, 0 revolving credit and -2 not used are kinds of their own.
"""

import polars as pl

from features.errors import InputError
from recipes.dataset import EVENTS_SCHEMA, Dataset, spec_text

__all__ = ["uci"]

_AS_OF = "2005-10-01"
_STATUS = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # September back to April
_ATTRIBUTES = (
    "LIMIT_BAL",
    "EDUCATION",
    *_STATUS,
    *[f"BILL_AMT{i}" for i in range(1, 7)],
    *[f"PAY_AMT{i}" for i in range(1, 7)],
)
_KINDS = {-2: "not_used", -1: "paid_duly", 0: "revolving"}


def uci(clients: pl.DataFrame) -> Dataset:
    """Turn the clients (all columns as text) into canonical tables.

    Raises:
        InputError: a column is missing.

    """
    missing = [name for name in ("ID", "Default", *_ATTRIBUTES) if name not in clients.columns]
    if missing:
        raise InputError(f"the UCI file: column {', '.join(missing)} is missing. Expected the published columns.")
    rows = clients.with_columns(
        pl.format("uci-{}", "ID").alias("application_id"), pl.col("ID").alias("customer_id"), as_of=pl.lit(_AS_OF)
    )
    label = pl.when(pl.col("Default").cast(pl.Float64) == 1).then(pl.lit("Poor")).otherwise(pl.lit("Good"))
    return Dataset(
        applications=rows.select("application_id", "customer_id", "as_of", *_ATTRIBUTES),
        events=_events(rows),
        labels=rows.select("application_id", label.alias("credit_class")),
        spec_text=spec_text("uci"),
    )


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    parts = []
    for back, status in enumerate(_STATUS):
        month = 9 - back
        code = pl.col(status).cast(pl.Float64).cast(pl.Int64)
        kind = pl.when(code >= 1).then(pl.lit("delay")).otherwise(code.replace_strict(_KINDS, default=None))
        parts += [
            _month(rows, month, 20, pl.lit("payment"), pl.col(f"PAY_AMT{back + 1}").cast(pl.Float64)).filter(
                pl.col("amount") > 0
            ),
            _month(rows, month, 25, pl.lit("bill"), pl.col(f"BILL_AMT{back + 1}").cast(pl.Float64)),
            _month(rows, month, 28, kind, pl.max_horizontal(code, 0)),
        ]
    return pl.concat(parts).sort("customer_id", "occurred_at", "kind")


def _month(rows: pl.DataFrame, month: int, day: int, kind: pl.Expr, amount: pl.Expr) -> pl.DataFrame:
    return rows.select(
        "customer_id",
        pl.datetime(2005, month, day, time_zone="UTC").alias("occurred_at"),
        kind.alias("kind"),
        amount.cast(EVENTS_SCHEMA["amount"]).alias("amount"),
        pl.lit(None, dtype=EVENTS_SCHEMA["recorded_at"]).alias("recorded_at"),
    )

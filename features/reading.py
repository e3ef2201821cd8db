"""How one column is read: pieces computed stage by stage, then the first condition that holds names the cause.

Stages exist because Polars expressions that refer to each other grow exponentially; each stage refers to the columns
of the stages before it by name, and all columns of a table go through the same stage together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

MISSING = "missing"
MISSING_TOKEN = "missing_token"  # noqa: S105 - a token of missing data, not a secret
UNREADABLE = "unreadable"
NOT_FINITE = "not_finite"
NOT_WHOLE = "not_a_whole_number"
OUT_OF_RANGE = "out_of_range"
TOO_MANY_DECIMALS = "too_many_decimals"
UNKNOWN = "unknown_category"

Stage = list[pl.Expr]
Condition = tuple[pl.Expr, str]


def piece(name: str, part: str) -> pl.Expr:
    """Refer to a piece of a column that is being read."""
    return pl.col(f"{name}|{part}")


@dataclass(frozen=True, slots=True)
class Reading:
    """The stages of one column, the last of which makes the piece `value`, and what makes that value unusable."""

    name: str
    stages: list[Stage]
    conditions: list[Condition]


def read_columns(table: pl.DataFrame, readings: Sequence[Reading]) -> pl.DataFrame:
    """Add the columns `NAME|value` and `NAME|cause` of each reading; exactly one of the two is null in each row."""
    for depth in range(max((len(reading.stages) for reading in readings), default=0)):
        table = table.with_columns(e for r in readings if depth < len(r.stages) for e in r.stages[depth])
    table = table.with_columns(_cause(reading).alias(f"{reading.name}|cause") for reading in readings)
    usable = [
        pl.when(piece(r.name, "cause").is_null()).then(piece(r.name, "value")).alias(f"{r.name}|value")
        for r in readings
    ]
    return table.with_columns(usable)


def _cause(reading: Reading) -> pl.Expr:
    missing = (piece(reading.name, "value").is_null(), MISSING)
    result = pl.lit(None, dtype=pl.String)
    for condition, cause in reversed([*reading.conditions, missing]):
        result = pl.when(condition).then(pl.lit(cause)).otherwise(result)
    return result

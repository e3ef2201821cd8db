"""The events table: the usable account events of the customers who apply, and the customers whose events are not."""

from dataclasses import dataclass

import polars as pl

from features.applications import identifier, identifier_code, require_columns
from features.errors import InputError
from features.instants import instant
from features.reading import OUT_OF_RANGE, UNKNOWN, Reading, piece, read_columns
from features.rejects import EVENTS, count_dirt, rejects_frame
from features.spec import EVENT_COLUMNS, Currency, Spec
from features.text_values import MOST_MINOR_UNITS, minor_units


@dataclass(frozen=True, slots=True)
class Events:
    """Usable events, the first unusable event of each customer that has one, and events without a customer.

    `usable`: customer (Int64 code), occurred_at and known_at (Int64 microseconds), kind (Int64 index into the spec's
    kinds), amount (Int64 minor units). `unusable`: customer, code, column, event_row.
    """

    usable: pl.DataFrame
    unusable: pl.DataFrame
    rejects: pl.DataFrame
    dirt: pl.DataFrame


def read_events(table: pl.DataFrame, customers: pl.DataFrame, spec: Spec) -> Events:
    """Check every event of `customers` (columns customer_id, customer); events of others are left out.

    Raises:
        InputError: a column is missing or of a type that cannot be read.

    """
    require_columns(table, EVENTS, EVENT_COLUMNS)
    row = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row")
    known = [name for name in (*EVENT_COLUMNS, "recorded_at") if name in table.columns]
    keyed = table.select(known).with_columns(identifier(table.schema, EVENTS, "customer_id"), row)
    code = identifier_code("customer_id", "event_")
    orphans = keyed.select("row", pl.lit("customer_id").alias("column"), code.alias("code")).drop_nulls("code")
    own = keyed.join(customers, on="customer_id", how="inner", maintain_order="left")
    read = _read(own, spec)
    ignored = read["kind"].eq_missing(_IGNORED)
    usable = ignored.not_() & read["code"].is_null()
    bad = read.filter(ignored.not_() & read["code"].is_not_null())
    return Events(
        usable=read.filter(usable).select("customer", "occurred_at", "known_at", "kind", "amount"),
        unusable=bad.unique("customer", keep="first", maintain_order=True).select(
            "customer", "code", _column_of_code().alias("column"), pl.col("row").alias("event_row")
        ),
        rejects=rejects_frame(orphans.with_columns(pl.lit(EVENTS).alias("table"))),
        dirt=count_dirt(EVENTS, pl.select(kind=pl.when(ignored).then(pl.lit("ignored_kind")))),
    )


_IGNORED = -1


def _read(own: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    schema = own.schema
    readings = [
        _kind(spec, schema["kind"]),
        instant(EVENTS, "occurred_at", schema["occurred_at"]),
        _amount(schema["amount"], spec.currency),
    ]
    late = "recorded_at" in schema
    if late:
        readings.append(instant(EVENTS, "recorded_at", schema["recorded_at"]))
    recorded_at = piece("recorded_at", "value") if late else pl.lit(None, dtype=pl.Int64)
    return read_columns(own, readings).select(
        "customer",
        "row",
        piece("occurred_at", "value").alias("occurred_at"),
        recorded_at.alias("known_at"),
        piece("kind", "value").alias("kind"),
        piece("amount", "value").alias("amount"),
        _code(late=late).alias("code"),
    )


def _code(*, late: bool) -> pl.Expr:
    codes = [f"event_{name}_" + piece(name, "cause") for name in ("kind", "occurred_at", "amount")]
    if late:  # not recorded later: known as it occurred
        cause = piece("recorded_at", "cause")
        codes.append(pl.when(cause != "missing").then("event_recorded_at_" + cause))
    return pl.coalesce(codes)


def _column_of_code() -> pl.Expr:
    return "events." + pl.col("code").str.extract("^event_(kind|occurred_at|recorded_at|amount)", 1)


def _kind(spec: Spec, dtype: pl.DataType) -> Reading:
    if not isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise InputError(f"{EVENTS}: column 'kind' is {dtype.base_type()}, expected text. Cast it at its source.")
    indexes = {kind: index for index, kind in enumerate(spec.event_kinds)} | dict.fromkeys(spec.ignored_kinds, _IGNORED)
    text = pl.col("kind").cast(pl.String).str.strip_chars()
    index = text.replace_strict(indexes, default=None, return_dtype=pl.Int64)
    unknown = piece("kind", "value").is_null() & (text != "")
    return Reading("kind", [[index.alias("kind|value")]], [(unknown, UNKNOWN)])


def _amount(dtype: pl.DataType, currency: Currency) -> Reading:
    """Read amounts to Int64 minor units, exactly: typed numbers by scaling integers, all else from decimal text."""
    source, value = pl.col("amount"), piece("amount", "value")
    too_large = (value.abs() > MOST_MINOR_UNITS, OUT_OF_RANGE)
    if dtype.is_integer():
        limit = MOST_MINOR_UNITS // 10**currency.minor_digits + 1
        clipped = source.cast(pl.Int128).clip(-limit, limit).cast(pl.Int64)
        return Reading("amount", [[(clipped * 10**currency.minor_digits).alias("amount|value")]], [too_large])
    if isinstance(dtype, pl.Decimal) and dtype.scale == currency.minor_digits:
        clipped = source.to_physical().clip(-MOST_MINOR_UNITS - 1, MOST_MINOR_UNITS + 1).cast(pl.Int64)
        return Reading("amount", [[clipped.alias("amount|value")]], [too_large])
    if not (dtype.is_numeric() or isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null))):
        raise InputError(
            f"{EVENTS}: column 'amount' is {dtype.base_type()}, expected text or numbers. Cast it at its source."
        )
    text = source.cast(pl.String).str.strip_chars()
    stages, conditions = minor_units("amount", currency.minor_digits)
    return Reading("amount", [[pl.when(text != "").then(text).alias("amount|bare")], *stages], conditions)

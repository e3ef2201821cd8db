"""The events table: the usable account events of the customers who apply, and the customers whose events are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from features.applications import identifier, identifier_code, require_columns
from features.errors import InputError
from features.instants import instant
from features.reading import MISSING, OUT_OF_RANGE, UNKNOWN, Cells, Columns, Reader, Reading, piece
from features.rejects import EVENTS, count_dirt, rejects_frame
from features.spec import EVENT_COLUMNS, Currency, Spec
from features.text_values import MOST_MINOR_UNITS, minor_units, plain_minor_units


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


APPLICATION_ROW = "application_row"
_IGNORED = -1
_STRANGER = -1


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
    return _account(own, rejects_frame(orphans.with_columns(pl.lit(EVENTS).alias("table"))), spec)


def read_carried_events(table: pl.DataFrame, accepted: pl.DataFrame, rows: int, spec: Spec) -> Events:
    """Check the events that applications carry: `application_row` (1-based input row) stands for the customer.

    `accepted` has the columns row and customer, `rows` counts the applications before any was rejected. Events of
    rejected applications are left out.
    """
    customer_of = np.full(int(rows), _STRANGER)
    customer_of[accepted["row"].to_numpy() - 1] = accepted["customer"].to_numpy()
    own = table.with_columns(
        pl.Series("customer", customer_of[table[APPLICATION_ROW].to_numpy() - 1]),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row"),
    )
    strangers = bool((own["customer"] == _STRANGER).any())
    return _account(own.filter(pl.col("customer") != _STRANGER) if strangers else own, rejects_frame(), spec)


def _account(own: pl.DataFrame, rejects: pl.DataFrame, spec: Spec) -> Events:
    names = [name for name in _READ if name in own.columns]
    _, cells = _reader(spec, tuple((name, own.schema[name]) for name in names)).read(own)
    known_at = cells["recorded_at"].values if "recorded_at" in cells else pl.lit(None, dtype=pl.Int64)
    read = pl.DataFrame([own["customer"], cells["occurred_at"].values, cells["kind"].values, cells["amount"].values])
    read = read.with_columns(known_at.alias("known_at")).select(_USABLE)
    ignored = read["kind"].eq_missing(_IGNORED)
    dirt = count_dirt(EVENTS, {"kind": pl.Series(["ignored_kind"]).new_from_index(0, int(ignored.sum()))})
    judged = own.select("customer", row="row").with_columns(_problem(cells).alias("code")).filter(~ignored)
    if judged["code"].null_count() == judged.height:
        usable, bad = read.filter(~ignored) if dirt.height else read, judged.clear()
    else:
        usable = read.filter(~ignored).filter(judged["code"].is_null())
        bad = judged.drop_nulls("code").unique("customer", keep="first", maintain_order=True)
    unusable = bad.select("customer", "code", _column_of_code().alias("column"), pl.col("row").alias("event_row"))
    return Events(usable=usable, unusable=unusable, rejects=rejects, dirt=dirt)


_READ = ("kind", "occurred_at", "amount", "recorded_at")
_USABLE = ("customer", "occurred_at", "known_at", "kind", "amount")


@lru_cache(maxsize=64)
def _reader(spec: Spec, columns: Columns) -> Reader:
    schema = dict(columns)
    readings = [
        _kind(spec, schema["kind"]),
        instant(EVENTS, "occurred_at", schema["occurred_at"]),
        _amount(schema["amount"], spec.currency),
    ]
    if "recorded_at" in schema:
        readings.append(instant(EVENTS, "recorded_at", schema["recorded_at"]))
    return Reader(readings)


def _problem(cells: Mapping[str, Cells]) -> pl.Series:
    """Return the code of what makes each event unusable. Not recorded later means known as it occurred."""
    names = [name for name in _READ if name in cells and cells[name].values.null_count()]
    causes = pl.DataFrame([cells[name].causes.alias(name) for name in names])
    late = "recorded_at"
    codes = [
        f"event_{name}_" + (pl.when(pl.col(name) != MISSING).then(name) if name == late else pl.col(name))
        for name in names
    ]
    length = len(cells["kind"].values)
    return (
        causes.select(pl.coalesce(codes)).to_series() if codes else pl.repeat(None, length, dtype=pl.String, eager=True)
    )


def _column_of_code() -> pl.Expr:
    return "events." + pl.col("code").str.extract("^event_(kind|occurred_at|recorded_at|amount)", 1)


def _kind(spec: Spec, dtype: pl.DataType) -> Reading:
    if not isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise InputError(f"{EVENTS}: column 'kind' is {dtype.base_type()}, expected text. Cast it at its source.")
    kinds = pl.Enum([*spec.event_kinds, *spec.ignored_kinds])

    def index(text: pl.Expr) -> pl.Expr:
        place = text.cast(kinds, strict=False).to_physical().cast(pl.Int64)
        return pl.when(place < len(spec.event_kinds)).then(place).when(place.is_not_null()).then(_IGNORED)

    text = pl.col("kind").cast(pl.String).str.strip_chars()
    unknown = piece("kind", "value").is_null() & (text != "")
    quick = index(pl.col("kind").cast(pl.String))
    return Reading("kind", [[index(text).alias("kind|value")]], [(unknown, UNKNOWN)], quick)


def _amount(dtype: pl.DataType, currency: Currency) -> Reading:
    """Read amounts to Int64 minor units, exactly: typed numbers by scaling integers, all else from decimal text."""
    source, value = pl.col("amount"), piece("amount", "value")
    too_large, fits = (value.abs() > MOST_MINOR_UNITS, OUT_OF_RANGE), pl.col("amount").abs() <= MOST_MINOR_UNITS
    if dtype.is_integer():
        limit = MOST_MINOR_UNITS // 10**currency.minor_digits + 1
        clipped = source.cast(pl.Int128).clip(-limit, limit).cast(pl.Int64)
        scaled = clipped * 10**currency.minor_digits
        return Reading("amount", [[scaled.alias("amount|value")]], [too_large], scaled, fits)
    if isinstance(dtype, pl.Decimal) and dtype.scale == currency.minor_digits:
        clipped = source.to_physical().clip(-MOST_MINOR_UNITS - 1, MOST_MINOR_UNITS + 1).cast(pl.Int64)
        return Reading("amount", [[clipped.alias("amount|value")]], [too_large], clipped, fits)
    if not (dtype.is_numeric() or isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null))):
        raise InputError(
            f"{EVENTS}: column 'amount' is {dtype.base_type()}, expected text or numbers. Cast it at its source."
        )
    text = source.cast(pl.String).str.strip_chars()
    stages, conditions = minor_units("amount", currency.minor_digits)
    stages = [[pl.when(text != "").then(text).alias("amount|bare")], *stages]
    return Reading("amount", stages, conditions, plain_minor_units(source.cast(pl.String), currency.minor_digits), fits)

"""The events table: the usable account events of the customers who apply, and the customers whose events are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from features.applications import identifier, identifier_code, require_columns
from features.errors import InputError
from features.instants import instant
from features.plain_cells import plain_amount, plain_kind
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
    customer_of = np.full(rows, _STRANGER)
    customer_of[accepted["row"].to_numpy() - 1] = accepted["customer"].to_numpy()
    customers = customer_of[table[APPLICATION_ROW].to_numpy() - 1]
    row = pl.Series("row", np.arange(1, table.height + 1, dtype=np.int64))
    own = table.hstack([pl.Series("customer", customers, dtype=pl.Int64), row])
    own = own.filter(pl.col("customer") != _STRANGER) if (customers == _STRANGER).any() else own
    return _account(own, rejects_frame(), spec)


def _account(own: pl.DataFrame, rejects: pl.DataFrame, spec: Spec) -> Events:
    schema = own.schema
    cells = _reader(spec, tuple((name, schema[name]) for name in _READ if name in schema)).read(own)
    known_at = cells["recorded_at"].values if "recorded_at" in cells else _NEVER.new_from_index(0, own.height)
    columns = [cells["occurred_at"].values, known_at.alias("known_at"), cells["kind"].values, cells["amount"].values]
    usable = pl.DataFrame([own.get_column("customer"), *columns])
    ignored, codes = usable.get_column("kind") == _IGNORED, _codes(cells)
    bad, dirt = _NO_BAD, count_dirt(EVENTS, {})
    if ignored.any():
        dirt = count_dirt(EVENTS, {"kind": ignored.replace_strict({True: "ignored_kind"}, default=None)})
        codes = None if codes is None else codes.zip_with(~ignored.fill_null(value=False), pl.Series([None]))
    if codes is not None and codes.null_count() < len(codes):
        judged = own.select("customer", "row", codes.alias("code"))
        first = judged.drop_nulls("code").unique("customer", keep="first", maintain_order=True)
        bad = first.select("customer", "code", _column_of_code().alias("column"), pl.col("row").alias("event_row"))
    if dirt.height or bad.height:
        usable = usable.filter(~ignored.fill_null(value=False) & (True if codes is None else codes.is_null()))
    return Events(usable=usable, unusable=bad, rejects=rejects, dirt=dirt)


_READ = ("kind", "occurred_at", "amount", "recorded_at")
_NEVER = pl.Series([None], dtype=pl.Int64)
_NO_BAD = pl.DataFrame(schema={"customer": pl.Int64, "code": pl.String, "column": pl.String, "event_row": pl.Int64})


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


def _codes(cells: Mapping[str, Cells]) -> pl.Series | None:
    """Return the code of what makes each event unusable, if any is. Not recorded later means known as it occurred."""
    codes = []
    for name in _READ:
        if name not in cells or cells[name].values.null_count() == 0:
            continue
        if name == "recorded_at" and cells[name].known is None:
            continue
        causes = cells[name].causes
        if name == "recorded_at":
            causes = causes.zip_with((causes != MISSING).fill_null(value=False), pl.Series([None], dtype=pl.String))
        codes.append((f"event_{name}_" + causes).alias(name))
    return pl.DataFrame(codes).select(pl.coalesce(pl.all())).to_series() if codes else None


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
    indices = {kind: i for i, kind in enumerate(spec.event_kinds)} | dict.fromkeys(spec.ignored_kinds, _IGNORED)
    plain = plain_kind(indices) if dtype == pl.String else None
    return Reading("kind", [[index(text).alias("kind|value")]], [(unknown, UNKNOWN)], quick, plain=plain)


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
    quick = plain_minor_units(source.cast(pl.String), currency.minor_digits)
    plain = plain_amount(currency.minor_digits) if dtype == pl.String else None
    return Reading("amount", stages, conditions, quick, fits, plain=plain)

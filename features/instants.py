"""Instants as Int64 microseconds since 1970-01-01 UTC, from text, dates and datetimes of any unit and zone."""

import polars as pl

from features.errors import InputError
from features.plain_cells import plain_instant
from features.reading import OUT_OF_RANGE, UNREADABLE, Reading, piece

# ISO 8601 / RFC 3339: a date, or a date and a time with up to 6 decimals (more only if they are 0) and an offset.
TEXT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6}0{0,3})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?$"
)
# The form that programs write, in UTC; it is read several times faster than the rest.
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?Z$"
FIRST = 0  # 1970-01-01
LAST = 7_258_118_400_000_000  # 2200-01-01
_DAY = 86_400_000_000


def instant(table: str, column: str, dtype: pl.DataType) -> Reading:
    """Read a column of instants; no offset means UTC, a date means 00:00 UTC.

    Unreadable: text that is not ISO 8601, no such day, or parts of a microsecond. Out of range: before 1970 or from
    2200 on. Null stays null.

    Raises:
        InputError: instants cannot be read from a column of this type.

    """
    if isinstance(dtype, (pl.String, pl.Null)):
        return _from_text(column, of_text=dtype == pl.String)
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return _from_ticks(column, dtype)
    raise InputError(
        f"{table}: column {column!r} is {dtype.base_type()}, expected a timestamp, a date or text. Cast it."
    )


def _outside(value: pl.Expr) -> pl.Expr:
    return (value < FIRST) | (value >= LAST)


def _from_ticks(column: str, dtype: pl.Date | pl.Datetime) -> Reading:
    ticks, value = pl.col(column).to_physical().cast(pl.Int64), piece(column, "value")
    conditions = [(_outside(value), OUT_OF_RANGE)]
    if isinstance(dtype, pl.Date):
        converted = ticks.clip(-1, LAST // _DAY) * _DAY  # clipped first, so that the product cannot wrap
    elif dtype.time_unit == "ns":
        converted = ticks // 1000
        conditions.insert(0, (ticks % 1000 != 0, UNREADABLE))
    elif dtype.time_unit == "ms":  # clipped first, so that the product cannot wrap into the range
        converted = ticks.clip(FIRST // 1000 - 1, LAST // 1000) * 1000
    else:
        converted = ticks
    quick = (
        pl.when(ticks % 1000 == 0).then(converted)
        if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns"
        else converted
    )
    return Reading(column, [[converted.alias(f"{column}|value")]], conditions, quick, ~_outside(pl.col(column)))


def _plain(text: pl.Expr) -> pl.Expr:
    plain = pl.when(text.str.contains(_PLAIN)).then(text)
    return _microseconds(plain.str.head(19), "%Y-%m-%dT%H:%M:%S") + (
        plain.str.slice(20, 6).cast(pl.Int64, strict=False).fill_null(0)
    )


def _microseconds(text: pl.Expr, form: str) -> pl.Expr:
    return text.str.to_datetime(form, time_unit="us", strict=False).to_physical()


def _local(shaped: pl.Expr, clock: pl.Expr, fraction: pl.Expr) -> pl.Expr:
    seconds = pl.when(clock.str.len_bytes() == 5).then(pl.lit(":00")).otherwise(pl.lit(""))
    return pl.concat_str(shaped.str.head(10), pl.lit("T"), clock, seconds, fraction)


def _from_text(column: str, *, of_text: bool) -> Reading:
    trimmed = pl.col(column).cast(pl.String).str.strip_chars(" \t\r\n")
    text, shaped, value = piece(column, "text"), piece(column, "shaped"), piece(column, "value")
    local, offset = piece(column, "local"), piece(column, "offset")
    stages = [
        [pl.when(trimmed != "").then(trimmed).alias(f"{column}|text")],
        [pl.when(text.str.contains(TEXT)).then(text).alias(f"{column}|shaped")],
        [
            shaped.str.extract(r"[T ]([0-9:]{5,8})", 1).fill_null("00:00:00").alias(f"{column}|clock"),
            shaped.str.extract(r"([+-][0-9]{2}:?[0-9]{2})$", 1).str.replace(":", "", literal=True).alias(f"{column}|o"),
            shaped.str.extract(r"(\.[0-9]{1,6})", 1).fill_null("").alias(f"{column}|fraction"),
        ],
        [
            _local(shaped, piece(column, "clock"), piece(column, "fraction")).alias(f"{column}|local"),
            _offset_minutes(shaped, piece(column, "o")).alias(f"{column}|offset"),
        ],
        [
            (_microseconds(local, "%Y-%m-%dT%H:%M:%S%.f") - offset * 60_000_000).alias(f"{column}|value"),
        ],
    ]
    conditions = [(text.is_not_null() & value.is_null(), UNREADABLE), (_outside(value), OUT_OF_RANGE)]
    quick, plain = _plain(pl.col(column).cast(pl.String)), plain_instant(TEXT, FIRST, LAST) if of_text else None
    return Reading(column, stages, conditions, quick, ~_outside(pl.col(column)), plain=plain)


def _offset_minutes(shaped: pl.Expr, offset: pl.Expr) -> pl.Expr:
    """Minutes east of UTC. The end of a bare date, as in 2026-08-31, is no offset."""
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(3, 2).cast(pl.Int64)
    signed = pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes)
    return pl.when(shaped.str.len_bytes() > 10).then(signed).fill_null(0)

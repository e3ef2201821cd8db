"""Instants as Int64 microseconds since 1970-01-01 UTC, from text, dates and datetimes of any unit and zone."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from features.cells import Reading, all_match, joined_lines
from features.cells.causes import IS_MISSING, IS_OUTSIDE, IS_UNREADABLE
from features.cells.texts import whole_text
from features.errors import InputError
from features.event_arrays import Int64s

__all__ = ["FIRST", "INSTANT_FORMAT", "LAST", "TEXT", "instant", "instant_text", "read_instant"]

# ISO 8601 / RFC 3339: a date, or a date and a time with up to 6 decimals (more only if they are 0) and an offset.
TEXT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6}0{0,3})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?$"
)
# The form that programs write, in UTC; it is read several times faster than the rest.
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?Z$"
_UTC = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z?)?"
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"  # in which instants are written
FIRST = 0  # 1970-01-01
LAST = 7_258_118_400_000_000  # 2200-01-01
_DAY = 86_400_000_000
_FIRST_TOLD, _LAST_TOLD = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 to 9999, which text can say
AROUND = " \t\r\n"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)

_is_instant, _all_utc = re.compile(TEXT).fullmatch, all_match(_UTC)


def instant(table: str, column: str, dtype: pl.DataType) -> Reading:
    """Read a column of instants; no offset means UTC, a date means 00:00 UTC.

    Unreadable: text that is not ISO 8601, no such day, or parts of a microsecond. Out of range: before 1970 or from
    2200 on. Null stays null.

    Raises:
        InputError: instants cannot be read from a column of this type.

    """
    value = pl.col(column)
    within, text = (value >= FIRST) & (value < LAST), instant_text(column, dtype)
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return Reading(column, pl.Int64(), read_instant, text, _from_ticks(column, dtype), within)
    if isinstance(dtype, pl.Null):
        return Reading(column, pl.Int64(), read_instant, text)
    if isinstance(dtype, pl.String):
        return Reading(column, pl.Int64(), read_instant, None, _plain(value), within, whole=_whole)
    raise InputError(
        f"{table}: column {column!r} is {dtype.base_type()}, expected a timestamp, a date or text. Cast it."
    )


def read_instant(cell: str) -> object:
    """Read one text to microseconds since 1970, or to what makes it unusable: the definition."""
    text = cell.strip(AROUND)
    if not text:
        return IS_MISSING
    if not _is_instant(text):
        return IS_UNREADABLE
    before_christ = text.startswith("0000")  # a year that Python lacks; it has the days of 2000
    try:
        moment = datetime.fromisoformat("2" + text[1:] if before_christ else text)
    except ValueError:  # no such day
        return IS_UNREADABLE
    value = (moment - (_LOCAL_EPOCH if moment.tzinfo is None else _EPOCH)) // _MICROSECOND
    return value if FIRST <= value < LAST and not before_christ else IS_OUTSIDE


def instant_text(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return the text of an instant as a message holds it; of a typed one in UTC, to its last decimal."""
    value = pl.col(column)
    if isinstance(dtype, pl.Date):
        clipped = value.to_physical().clip(_FIRST_TOLD // _DAY, _LAST_TOLD // _DAY)
        return clipped.cast(pl.Date).dt.strftime("%Y-%m-%d")
    if not isinstance(dtype, pl.Datetime):
        return whole_text(value, dtype)
    per_unit = {"ms": 1000, "us": 1, "ns": 1}[dtype.time_unit]
    within = _FIRST_TOLD // per_unit, _LAST_TOLD // per_unit
    ticks = value.to_physical() if dtype.time_unit == "ns" else value.to_physical().clip(*within)
    decimals = "%.9fZ" if dtype.time_unit == "ns" else "%.6fZ"
    return ticks.cast(pl.Datetime(dtype.time_unit)).dt.strftime(f"%Y-%m-%dT%H:%M:%S{decimals}").alias(column)


def _from_ticks(column: str, dtype: pl.Date | pl.Datetime) -> pl.Expr:
    ticks = pl.col(column).to_physical().cast(pl.Int64)
    if isinstance(dtype, pl.Date):
        return ticks.clip(-1, LAST // _DAY) * _DAY  # clipped first, so that the product cannot wrap
    if dtype.time_unit == "ns":
        return pl.when(ticks % 1000 == 0).then(ticks // 1000)
    if dtype.time_unit == "ms":  # clipped first, so that the product cannot wrap into the range
        return ticks.clip(FIRST // 1000 - 1, LAST // 1000) * 1000
    return ticks


def _plain(text: pl.Expr) -> pl.Expr:
    plain = pl.when(text.str.contains(_PLAIN)).then(text)
    seconds = plain.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False).to_physical()
    return seconds + plain.str.slice(20, 6).cast(pl.Int64, strict=False).fill_null(0)


def _whole(cells: Sequence[str | None]) -> Int64s | None:
    """Read instants in UTC, if all have that form."""
    text = joined_lines(cells)
    if not _all_utc(text):
        return None
    try:
        values = np.array(text.replace("Z", "").split("\n"), dtype="datetime64[us]").view(np.int64)
    except ValueError:  # no such day
        return None
    fits = len(values) == len(cells) and values.min() >= FIRST and values.max() < LAST
    return values if fits else None

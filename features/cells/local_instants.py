"""Instants in a form that the spec declares beside ISO 8601, as microseconds since 1970-01-01 UTC."""

import polars as pl

from features.cells import Reading
from features.cells.causes import IS_MISSING, IS_OUTSIDE
from features.cells.date_forms import DateForm, date_form
from features.cells.day_counts import DAY_US
from features.cells.instants import AROUND, FIRST, LAST, instant, instant_text, read_instant
from features.cells.reading import Definition
from features.cells.texts import plain_text
from features.dialect import InstantForms
from features.errors import InputError

_MINUTE = 60_000_000
_QUICK_CODES = "YmdbBHIMSpf"
_DECIMALS, _MICROSECONDS = "[0-9]{1,9}", "[0-9]{1,6}"


def declared_instant(table: str, column: str, dtype: pl.DataType, forms: InstantForms) -> Reading:
    """Read a column of instants: typed ones and ISO 8601 as `instant` does, and text of the form declared for it.

    Raises:
        InputError: instants cannot be read from a column of this type.

    """
    declared = {"as_of": forms.as_of, "occurred_at": forms.occurred_at, "recorded_at": forms.recorded_at}[column]
    if not declared or isinstance(dtype, (pl.Date, pl.Datetime, pl.Null)):
        return instant(table, column, dtype)
    form, offset = date_form(declared), forms.utc_offset_minutes * _MINUTE
    read = _definition(form, offset)
    if isinstance(dtype, pl.String):
        value = pl.col(column)
        quick = _quick(value, form, offset)
        check = None if quick is None else (value >= FIRST) & (value < LAST)
        return Reading(column, pl.Int64(), read, quick=quick, check=check)
    if not (plain_text(dtype) or (dtype.is_numeric() and form.is_count)):
        raise InputError(
            f"{table}: column {column!r} is {dtype.base_type()}, expected a timestamp, a date or text of the form "
            f"{declared}. Cast it where the file is made."
        )
    return Reading(column, pl.Int64(), read, instant_text(column, dtype))


def _definition(form: DateForm, offset: int) -> Definition:
    def read(cell: str) -> object:
        text = cell.strip(AROUND)
        if not text:
            return IS_MISSING
        found = form.read(text)
        if found is None:
            return read_instant(text)
        day, (since_midnight, east) = found
        value = day * DAY_US + since_midnight - (offset if east is None else east * _MINUTE)
        return value if FIRST <= value < LAST else IS_OUTSIDE

    return read


def _quick(text: pl.Expr, form: DateForm, offset: int) -> pl.Expr | None:
    """Read texts of the form at once, if Polars knows it; all others become null."""
    codes = {form.text[i + 1] for i, letter in enumerate(form.text) if letter == "%"}
    known, shape = form.text.replace(".%f", "%.f"), form.shape.replace(_DECIMALS, _MICROSECONDS)
    if not shape or "%f" in known or not codes <= set(_QUICK_CODES) or "d" not in codes:
        return None
    shaped = pl.when(text.str.contains(f"^(?:{shape})$")).then(text)
    if form.has_time:
        return shaped.str.to_datetime(known, time_unit="us", strict=False).to_physical() - offset
    return shaped.str.to_date(known, strict=False).to_physical().cast(pl.Int64) * DAY_US - offset

"""Kind `date`: a day in a declared form; its feature is whole days before `as_of`."""

from typing import Any

import numpy as np
import polars as pl

from features.cells.causes import IS_OUTSIDE, IS_TOKEN, IS_UNREADABLE
from features.cells.date_forms import ISO, DateForm, date_form, iso_day
from features.cells.day_counts import DAY_US
from features.cells.guess import Found, Guess
from features.cells.kinds.kind import Kind
from features.cells.reading import Reading
from features.cells.recognise import Ambiguous, may_be_dates, one_of_each_day, recognise_dates, special_dates
from features.cells.texts import bare_reader, plain_text, unreadable_type, whole_text
from features.errors import InputError, SpecError
from features.spec.contract import Attribute
from features.spec.toml_table import Table

FIRST = -62_091  # 1800-01-01: what is written for "no date" often lies before
_LAST_AT_EXAMPLE = 20_696  # 2026-08-31, the as_of of example messages
_GOLDEN = (-9_000, 20_400)  # 1945 to 2025
_DAYS_OF_AN_EXAMPLE = 1_500
_PIVOT = 50  # in drafts, for a person to check


class Date(Kind):
    """A day that lies before `as_of`; one behind it was not known then, and is unusable."""

    name = "date"
    meaning = (
        "a day in the `format` declared; the feature is whole days before `as_of`, a month stands for its first day, a "
        "time of day is left out, a day after `as_of` is unusable"
    )
    since = 2
    keys = ("format", "pivot")
    relative = True

    def options(self, table: Table, attribute: Attribute) -> tuple[tuple[str, str | int], ...]:
        """See `Kind.options`."""
        del attribute
        text = table.text("format", ISO)
        pivot = table.integer("pivot", 0, 100) if "pivot" in table.values else None
        try:
            form = date_form(text, pivot)
        except SpecError as error:
            raise SpecError(f"{table.key('format')}: {error}") from error
        if pivot is None or not form.two_digit_years:
            if pivot is not None:
                raise SpecError(f"{table.key('pivot')}: only a format with years of two digits (%y) has one.")
            return (("format", text),)
        return (("format", text), ("pivot", pivot))

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`; values are days since 1970, until `relate` makes them days before `as_of`."""
        text = None if dtype == pl.String else self.text(attribute, dtype)
        return Reading(attribute.name, self.dtype, bare_reader(attribute, _definition(attribute)), text)

    def text(self, attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
        """See `Kind.text`: of a typed date or instant the day that it shows in its own zone."""
        column = pl.col(attribute.name)
        if isinstance(dtype, pl.Date):
            return column.dt.strftime("%Y-%m-%d")
        if isinstance(dtype, pl.Datetime):
            return column.dt.date().dt.strftime("%Y-%m-%d")
        if plain_text(dtype):
            return column.cast(pl.String)
        if not dtype.is_numeric():
            raise unreadable_type(attribute, dtype)
        if not form_of(attribute).is_count:
            raise InputError(
                f"column {attribute.name!r} is {dtype.base_type()}, expected dates or text of the form "
                f"{form_of(attribute).text}. If its numbers count days or seconds, declare which: format = "
                '"excel_days", "epoch_days", "epoch_seconds", "sas_days" or "sas_seconds".'
            )
        return whole_text(column, dtype)

    def relate(self, values: pl.Series, as_of: pl.Series) -> pl.Series:
        """See `Kind.relate`: whole days before `as_of`."""
        days = (as_of // DAY_US).cast(pl.Float64) - values
        return days.set(days < 0, None)

    def draft(self, found: Found) -> Guess | None:
        """See `Kind.draft`; what may be read in two ways is left out, with both of them."""
        form = recognise_dates(one_of_each_day(found.text)) if may_be_dates(found.text) else None
        if form is None:
            return None
        if isinstance(form, Ambiguous):
            listed = " or ".join(form.formats)
            reason = f"holds dates of which day and month may be either way round: {listed}. Take the right one in"
            first = (("format", form.formats[0]),)
            return Guess(kind=self.name, note=f"EDIT: {listed}", keys=first, reason=reason, certain=True)
        if "%y" in form:
            reason = "holds dates with years of two digits. Say with pivot from which on they are 19.., and take it in"
            keys = (("format", form), ("pivot", _PIVOT))
            return Guess(kind=self.name, note="EDIT: pivot", keys=keys, reason=reason, certain=True)
        counts = dict(zip(found.text.to_list(), found.counts.tolist(), strict=True))
        special = special_dates(counts, form)
        told = ", ".join(f"{cell} ({count:,} cells)" for cell, count in sorted(special.items()))
        return Guess(
            kind=self.name,
            note="a date; the feature is whole days before as_of",
            keys=(("format", form),),
            tokens=tuple(sorted({*found.tokens, *special})),
            look=f"{told} is taken as no date, which becomes missing" if told else "",
            certain=len(counts) > 1,
        )

    def unit(self, attribute: Attribute) -> str:
        """See `Kind.unit`."""
        return attribute.unit or "days before as_of"

    def describe(self, attribute: Attribute) -> str:
        """See `Kind.describe`."""
        form = form_of(attribute)
        return "a date as in 2026-08-31" + ("" if form.text == ISO else f", or {form.text}")

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        return form_of(attribute).write(_LAST_AT_EXAMPLE - int(_DAYS_OF_AN_EXAMPLE if median is None else median))

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return form_of(attribute).write(int(generator.integers(*_GOLDEN)))

    def dirty(self, attribute: Attribute) -> list[str]:
        """See `Kind.dirty`."""
        write = form_of(attribute).write
        return [*attribute.missing_tokens, "?", "31.31.2031", write(-70_000), write(29_000)]


def form_of(attribute: Attribute) -> DateForm:
    """Return the form that an attribute of kind `date` declares."""
    options = dict(attribute.options)
    pivot = options.get("pivot")
    return date_form(str(options.get("format", ISO)), None if pivot is None else int(pivot))


def _definition(attribute: Attribute) -> Any:
    form = form_of(attribute)
    tokens = {day for token in attribute.missing_tokens if (day := read_day(form, token.strip())) is not None}

    def read(text: str) -> object:
        day = read_day(form, text)
        if day is None:
            return IS_UNREADABLE
        if day in tokens:
            return IS_TOKEN
        return float(day) if day >= FIRST else IS_OUTSIDE

    return read


def read_day(form: DateForm, text: str) -> int | None:
    """Read a day in the form declared, or as ISO 8601, which nothing else can be taken for."""
    found = form.read(text)
    return iso_day(text) if found is None else found[0]

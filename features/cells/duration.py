"""Kind `duration`: a number of months, from words or digits."""

import re

import numpy as np
import polars as pl

from features.cells.decimals import parse_number, quick_number
from features.cells.guess import Found, Guess
from features.cells.kind import Kind, invented_number
from features.cells.quantity import definition, limits, quick_text
from features.cells.reading import Reading
from features.spec import Attribute

_MONTHS = r"^([0-9]{1,4}) Years?(?:(?:,? and |, | )(0?[0-9]|1[01]) Months?)?$"
_ONLY_MONTHS = r"^([0-9]{1,5}) Months?$"
_PLAIN = r"^([0-9]{1,4}) Years and ([0-9]|1[01]) Months$"
_DURATION = f"{_MONTHS}|{_ONLY_MONTHS}"
_MOSTLY = 0.9

_in_words = re.compile(_MONTHS).fullmatch
_in_months = re.compile(_ONLY_MONTHS).fullmatch


class Duration(Kind):
    """A time span; its feature is in months."""

    name = "duration"
    meaning = "`22 Years and 1 Months`, `3 Years`, `7 Months`, or a number of months"
    has_range = True

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`; values are months."""
        within = limits(attribute, whole=True)
        text = None if dtype == pl.String else self.text(attribute, dtype)
        quick, check = quick_text(attribute, pl.col(attribute.name) if text is None else text), None
        if quick is not None:
            quick, check = _quick_months(quick), within.check(pl.col(attribute.name))
        return Reading(attribute.name, self.dtype, definition(attribute, parse_months, within), text, quick, check)

    def draft(self, found: Found) -> Guess | None:
        """See `Kind.draft`."""
        if found.share(_DURATION) < _MOSTLY:
            return None
        return Guess(kind="duration", note="a duration, in months", tokens=found.tokens)

    def unit(self, attribute: Attribute) -> str:
        """See `Kind.unit`."""
        return attribute.unit or "months"

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        months = int(invented_number(attribute, generator))
        return f"{months // 12} Years and {months % 12} Months"


def parse_months(text: str) -> object:
    """Parse `22 Years and 1 Months` to months; a number is months already."""
    words = _in_words(text)
    if words:
        return float(int(words[1]) * 12 + int(words[2] or 0))
    months = _in_months(text)
    return float(months[1]) if months else parse_number(text)


def _quick_months(text: pl.Expr) -> pl.Expr:
    words = pl.when(text.str.contains(_PLAIN)).then(text)
    years, rest = words.str.extract("^([0-9]+)", 1), words.str.extract("([0-9]+) Months$", 1)
    return pl.coalesce(years.cast(pl.Float64) * 12 + rest.cast(pl.Float64), quick_number(text))

"""Kind `money`: an amount in the spec's currency, exact to the minor unit: no float is involved."""

import numpy as np
import polars as pl

from features.cells.causes import IS_OUTSIDE
from features.cells.decimals import MOST_MINOR_UNITS, parse_minor_units, people_write, quick_minor_units
from features.cells.kinds.kind import Kind, ToNumber, invented_number, wanted_value
from features.cells.kinds.number import pointed
from features.cells.kinds.quantity import definition, hopeless, limits, quick_text, second_look
from features.cells.reading import Reading
from features.spec.contract import Attribute


class Money(Kind):
    """An amount; its feature is in units of the currency."""

    name = "money"
    meaning = (
        "`34847.84`, `1.00E+05`; at most the currency's decimals; in version 2 also `$35,625.43`, `(1,131.00)` for "
        '-1131, and with `decimal = ","` `1.234,56`'
    )
    has_range = True
    dtype = pl.Int64()

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`; values are minor units."""
        digits = attribute.currency.minor_digits
        within = limits(attribute, digits=digits, most=MOST_MINOR_UNITS, beyond=IS_OUTSIDE)
        parse = parse_minor_units(digits)
        if attribute.version > 1:
            parse = people_write(parse, attribute.decimal, attribute.currency.code)
        text = None if dtype == pl.String else self.text(attribute, dtype)
        quick = quick_text(attribute, pl.col(attribute.name) if text is None else text)
        check = why = None
        if quick is not None:
            quick = quick_minor_units(quick, digits, attribute.decimal)
            value = pl.col(attribute.name)
            check, why = within.check(value), within.why(value)
        second = second_look(attribute, parse, lambda plain: quick_minor_units(plain, digits))
        read, none = definition(attribute, parse, within), hopeless(attribute)
        return Reading(attribute.name, self.dtype, read, text, quick, check, why, second, none)

    def describe(self, attribute: Attribute) -> str:
        """See `Kind.describe`."""
        return attribute.currency.code

    def unit(self, attribute: Attribute) -> str:
        """Return the unit of its feature: the currency, where the spec names no other."""
        return attribute.unit or attribute.currency.code

    def columns(self, attribute: Attribute) -> list[pl.Expr]:
        """See `Kind.columns`."""
        return [pl.col(attribute.name) / 10**attribute.currency.minor_digits]

    def numbers(self, attribute: Attribute) -> list[ToNumber]:
        """See `Kind.numbers`."""
        scale = 10**attribute.currency.minor_digits
        return [lambda minor: float(minor / scale)]

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        low, high, wanted = wanted_value(attribute, median)
        wanted = round(wanted, attribute.currency.minor_digits)
        whole = round(wanted)
        return whole if low <= whole <= high and (whole == wanted or median is None) else wanted

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return pointed(f"{invented_number(attribute, generator):.{attribute.currency.minor_digits}f}", attribute)

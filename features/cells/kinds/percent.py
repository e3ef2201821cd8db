"""Kind `percent`: `14.90%` is 14.9, the same as `14.9` in that column."""

import re

import numpy as np
import polars as pl

from features.cells.decimals import parse_number, people_write, quick_number
from features.cells.guess import Found, Guess
from features.cells.kinds.kind import invented_number
from features.cells.kinds.number import Number, decimal_keys, is_exact, pointed, written_with
from features.cells.kinds.quantity import but_tokens, definition, hopeless, limits, quick_text, second_look
from features.cells.reading import Reading
from features.spec.contract import Attribute

_SIGN = "%"
_without_sign = re.compile(r"[ \xa0\u202f]?%$").sub


class Percent(Number):
    """A number of hundredths, with or without its sign."""

    name = "percent"
    meaning = "`14.90%`, `75 %`, `14.9`: 14.9 percent is 14.9, with or without the sign"
    since = 2

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`."""
        within = limits(attribute)
        number = people_write(parse_number, attribute.decimal, attribute.currency.code)
        text = None if dtype == pl.String else self.text(attribute, dtype)
        source = pl.col(attribute.name) if text is None else text
        quick = quick_text(attribute, source)
        if quick is not None:
            bare = quick.str.strip_suffix(_SIGN).str.strip_chars_end(" ")
            quick = (
                pl.col(attribute.name).cast(pl.Float64) if is_exact(dtype) else quick_number(bare, attribute.decimal)
            )

        def parse(bare: str) -> object:
            return number(_without_sign("", bare))

        if quick is not None and dtype == pl.String:
            quick = but_tokens(attribute, parse, quick)
        read = definition(attribute, parse, within)
        value = pl.col(attribute.name)
        check, why = (None, None) if quick is None else (within.check(value), within.why(value))
        second = second_look(attribute, parse, quick_number, _SIGN)
        return Reading(attribute.name, self.dtype, read, text, quick, check, why, second, hopeless(attribute))

    def draft(self, found: Found) -> Guess | None:
        """Take numbers some of which bear the sign."""
        if not bool(found.text.str.ends_with(_SIGN).any()):
            return None
        decimal = written_with(found, lambda text: _without_sign("", text))
        if decimal is None:
            return None
        keys = decimal_keys(decimal)
        return Guess(kind="percent", note="percent", tokens=found.tokens, keys=keys, look=_two_scales(found, decimal))

    def unit(self, attribute: Attribute) -> str:
        """See `Kind.unit`."""
        return attribute.unit or _SIGN

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return pointed(f"{invented_number(attribute, generator):.2f}%", attribute)


def _two_scales(found: Found, decimal: str) -> str:
    """Say that cells with the sign and cells without it seem to be on two scales, as a spreadsheet writes them."""
    signed = found.bare.str.ends_with(_SIGN)
    number = people_write(parse_number, decimal, "")

    def numbers(cells: pl.Series) -> list[float]:
        read = [number(_without_sign("", cell)) for cell in cells.to_list()]
        return [abs(one) for one in read if isinstance(one, float)]

    bare = numbers(found.bare.filter(~signed))
    if not bare or max(bare) > 1 or max(numbers(found.bare.filter(signed)), default=0.0) <= 1:
        return ""
    rows = int(found.counts[(~signed).to_numpy()].sum())
    return (
        f"{rows:,} cells have no % and lie between 0 and 1, others have it and lie above: 0.25 counts as 0.25 percent. "
        "If it means 25 %, write it with the sign where the file is made"
    )

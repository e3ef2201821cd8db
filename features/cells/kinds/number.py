"""Kinds `number` and `integer`: a decimal number, read to the nearest Float64."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl

from features.cells.affixes import without, word_beside
from features.cells.by_value import spellings_of
from features.cells.decimals import NUMBER, Parse, may_be_thousands, parse_number, people_write, quick_number
from features.cells.guess import STRIPPED, Found, Guess
from features.cells.kinds.kind import Kind, invented_number, wanted_value
from features.cells.kinds.quantity import definition, hopeless, limits, quick_text, second_look
from features.cells.reading import Reading
from features.cells.texts import COMMA, POINT
from features.spec.contract import Attribute

_MOSTLY = 0.9
_FLAG, _SPELLINGS = 2, 12
_ZERO_COMMA = r"^[+-]?0,[0-9]"


class Number(Kind):
    """A number with any decimals."""

    name = "number"
    meaning = (
        '`12.5`, `1e3`; in version 2 also `1,234.5`, `$12.50`, `(12.5)` for -12.5, and with `decimal = ","` `1.234,5`'
    )
    has_range = True
    whole: ClassVar[bool] = False

    def reading(self, attribute: Attribute, dtype: pl.DataType) -> Reading:
        """See `Kind.reading`; a typed column is taken as it is, a short float as its shortest decimal."""
        exact, within = is_exact(dtype), limits(attribute, whole=self.whole)
        typed = exact and attribute.version == 1
        parse: Parse = parse_number
        if attribute.version > 1:
            parse = people_write(parse, attribute.decimal, attribute.currency.code)
        text = None if dtype == pl.String else self.text(attribute, dtype)
        quick = quick_text(attribute, pl.col(attribute.name) if text is None else text)
        if quick is not None:
            quick = pl.col(attribute.name).cast(pl.Float64) if exact else quick_number(quick, attribute.decimal)
        value = pl.col(attribute.name)
        check, why = (None, None) if quick is None else (within.check(value), within.why(value))
        read = definition(attribute, parse, within, typed=typed)
        second, none = second_look(attribute, parse, quick_number), hopeless(attribute)
        return Reading(attribute.name, self.dtype, read, text, quick, check, why, second, none)

    def draft(self, found: Found) -> Guess | None:
        """Take what nearly always is a number, of more than two values, and names nothing by its digits."""
        if found.names_things or _is_flag(found.bare.unique()) or bool(found.text.str.ends_with("%").any()):
            return None
        if may_be_thousands(found.bare):
            reason = (
                "holds numbers with three digits behind each point, as thousands are grouped in many countries: 12.400 "
                'is 12,400 with decimal = "," and 12.4 with decimal = ".". Take the right one in'
            )
            note, keys = 'EDIT: decimal = "," or "."', decimal_keys(COMMA)
            return Guess(kind="number", note=note, tokens=found.tokens, keys=keys, reason=reason, certain=True)
        decimal = POINT if found.share(NUMBER) == 1 else written_with(found, lambda text: text)
        if decimal is None:
            return _beside_a_word(found)
        strip = "".join(c for c in STRIPPED if _stands_around_numbers(found.text, c))
        return Guess(kind="number", note="", tokens=found.tokens, strip=strip, keys=decimal_keys(decimal))

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        low, high, wanted = wanted_value(attribute, median)
        whole = round(wanted)
        return whole if low <= whole <= high and (whole == wanted or median is None) else wanted

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return pointed(f"{invented_number(attribute, generator):.4f}", attribute)


class Integer(Number):
    """A whole number."""

    name = "integer"
    meaning = "a whole number; `2.0` is one, `2.5` is unusable"
    whole = True

    def draft(self, found: Found) -> Guess | None:
        """Leave it to `number`, which tells whole numbers from others."""
        del found
        return None

    def example(self, attribute: Attribute, median: float | None) -> str | int | float:
        """See `Kind.example`."""
        return Kind.example(self, attribute, median)

    def golden(self, attribute: Attribute, generator: np.random.Generator) -> str:
        """See `Kind.golden`."""
        return str(int(np.ceil(invented_number(attribute, generator))))


def is_exact(dtype: pl.DataType) -> bool:
    """Tell whether a number is what the column holds; a shorter float means its shortest decimal, as in text."""
    return dtype.is_integer() or dtype == pl.Float64


def pointed(text: str, attribute: Attribute) -> str:
    """Write a number with the point or comma of the attribute."""
    return text.replace(POINT, attribute.decimal)


def _is_flag(texts: pl.Series) -> bool:
    """Tell whether there are two values at most, in whatever spellings."""
    return len(texts) <= _FLAG or (len(texts) <= _SPELLINGS and len(spellings_of(texts.to_list())) <= _FLAG)


def _beside_a_word(found: Found) -> Guess | None:
    """Take numbers beside which one word always stands, without the word."""
    beside = word_beside(found)
    if beside is None:
        return None
    strip, word = beside
    bare = replace(found, text=without(found.text, strip))
    decimal = written_with(bare, lambda text: text)
    if decimal is None or _is_flag(bare.bare.unique()):
        return None
    look = f"the word {word!r} beside its numbers is taken away"
    return Guess(kind="number", note=word, tokens=found.tokens, strip=strip, keys=decimal_keys(decimal), look=look)


def written_with(found: Found, bare: Callable[[str], str]) -> str | None:
    """Return the point or comma with which most cells are numbers, nearly all of them; None where they are none.

    Both may read all, since the other one is then taken for what parts thousands; a 0 in front parts none.
    """
    read: dict[str, float] = {}
    for decimal in (POINT, COMMA):
        number = people_write(parse_number, decimal, "")
        read[decimal] = found.readable(lambda text, number=number: number(bare(text)))  # type: ignore[misc]
    if read[COMMA] >= read[POINT] and bool(found.bare.str.contains(_ZERO_COMMA).any()):
        read[POINT] = 0.0
    best = max(read, key=lambda decimal: read[decimal])  # of equal ones the point
    return best if read[best] >= _MOSTLY else None


def decimal_keys(decimal: str) -> tuple[tuple[str, str], ...]:
    """Return what a spec says of numbers with a decimal comma."""
    return () if decimal == POINT else (("decimal", decimal),)


def _stands_around_numbers(text: pl.Series, character: str) -> bool:
    around = text.filter(text.str.starts_with(character) | text.str.ends_with(character))
    return bool(around.str.strip_chars(character).str.contains(NUMBER).any())

"""What all kinds that are one number share: limits, missing tokens that are numbers, and the quick way."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from features.cells.causes import IS_NOT_FINITE, IS_NOT_WHOLE, IS_OUTSIDE, IS_TOKEN, Unusable
from features.cells.decimals import grouped_wrongly, is_number, names_a_currency, people_use, tidied
from features.cells.reading import Definition
from features.cells.texts import WHITE_SPACE, around_of, bare_reader, tokens_of
from features.spec.contract import Attribute

LARGEST_FLOAT32 = 3.4028234663852886e38
LARGEST_EXACT_INTEGER = 2**53
_is_plain = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a number must keep to, in the order in which it is looked at; `beyond` is the cause if it exceeds `most`."""

    most: float
    beyond: Unusable
    whole: bool
    tokens: frozenset[float]
    low: float
    high: float

    def judge(self, value: float) -> object:
        """Return the value, or what makes it unusable."""
        if not -self.most <= value <= self.most:
            return self.beyond
        if self.whole and not (value == math.floor(value) and abs(value) <= LARGEST_EXACT_INTEGER):
            return IS_NOT_WHOLE
        if value in self.tokens:
            return IS_TOKEN
        return value if self.low <= value <= self.high else IS_OUTSIDE

    def check(self, value: pl.Expr) -> pl.Expr:
        """Tell of which values of a column `judge` would return the value."""
        checks = [value.abs() <= self.most]
        checks += [] if self.low == -math.inf else [value >= self.low]
        checks += [] if self.high == math.inf else [value <= self.high]
        checks += [~value.cast(pl.Float64).is_in(sorted(self.tokens))] if self.tokens else []
        checks += [(value == value.floor()) & (value.abs() <= LARGEST_EXACT_INTEGER)] if self.whole else []
        return pl.all_horizontal(checks)

    def why(self, value: pl.Expr) -> pl.Expr:
        """Say of those of which `check` does not hold what `judge` would say."""
        exact = (value == value.floor()) & (value.abs() <= LARGEST_EXACT_INTEGER)
        causes = [(value.abs() > self.most, self.beyond)]
        causes += [(~exact, IS_NOT_WHOLE)] if self.whole else []
        causes += [(value.cast(pl.Float64).is_in(sorted(self.tokens)), IS_TOKEN)] if self.tokens else []
        said = [pl.when(condition).then(pl.lit(unusable.cause)) for condition, unusable in causes]
        return pl.coalesce(*said, pl.lit(IS_OUTSIDE.cause))


def limits(
    attribute: Attribute,
    *,
    whole: bool = False,
    digits: int = 0,
    most: float = LARGEST_FLOAT32,
    beyond: Unusable = IS_NOT_FINITE,
) -> Limits:
    """Return the limits of an attribute whose value has 10^`digits` units of its range."""
    low, high = (None if bound is None else scaled(bound, digits) for bound in (attribute.minimum, attribute.maximum))
    numbers = (scaled(float(token), digits) for token in map(str.strip, attribute.missing_tokens) if is_number(token))
    return Limits(
        most=most,
        beyond=beyond,
        whole=whole,
        tokens=frozenset(numbers),
        low=-math.inf if low is None else low,
        high=math.inf if high is None else high,
    )


def scaled(bound: float, minor_digits: int) -> float:
    """Return a bound in minor units, without the error of a float multiplication."""
    return float(Decimal(str(bound)).scaleb(minor_digits))


def definition(
    attribute: Attribute, parse: Callable[[str], object], limits_: Limits, *, typed: bool = False
) -> Definition:
    """Return what reads a cell: white space, tokens, `parse`, limits."""
    judge: Callable[[Any], object] = limits_.judge

    def value_of(text: str) -> object:
        value = parse(text)
        return value if type(value) is Unusable else judge(value)

    slowly = bare_reader(attribute, value_of, typed=typed)
    if _part_of_numbers(attribute):
        return slowly
    tokens = tokens_of(attribute)  # a plain number has nothing around it
    return lambda cell: value_of(cell) if _is_plain(cell) and cell not in tokens else slowly(cell)


def _part_of_numbers(attribute: Attribute) -> bool:
    """Tell whether what is stripped may be part of a number."""
    return bool(set(attribute.strip) & set("0123456789.,-e"))


def quick_text(attribute: Attribute, text: pl.Expr) -> pl.Expr | None:
    """Return the text that a quick expression may look at; None where what is stripped may be part of a number."""
    if _part_of_numbers(attribute):
        return None
    stripped = [token.strip(around_of(attribute)) for token in tokens_of(attribute)]
    safe = attribute.strip and not any(map(is_number, stripped))
    return text.str.strip_chars(around_of(attribute)) if safe else text


def second_look(
    attribute: Attribute, parse: Callable[[str], object], quick: Callable[[pl.Expr], pl.Expr], sign: str = ""
) -> pl.Expr | None:
    """Return what reads numbers as people write them, perhaps with a sign behind, of version 2: `Reading.second`."""
    text = quick_text(attribute, pl.col(attribute.name))
    if attribute.version == 1 or text is None:
        return None
    bare = text.str.strip_suffix(sign).str.strip_chars_end(" ") if sign else text
    return but_tokens(attribute, parse, quick(tidied(bare, attribute.decimal, attribute.currency.code)))


def hopeless(attribute: Attribute, words: str = "") -> pl.Expr | None:
    """Tell which texts are no number as people write it, and nothing else that has a cause of its own.

    Such a text has no digit, or a character that no number has, on no side and nowhere within, or digits in groups that
    are not of three. `words`: a form, as a regular expression, of which something can be made all the same.
    """
    if attribute.version == 1:
        return None
    text = pl.col(attribute.name).str.strip_chars(WHITE_SPACE)
    bare = text.str.strip_chars(around_of(attribute))
    allowed = re.escape(f"{people_use(attribute.currency.code)}{around_of(attribute)}{attribute.decimal}")
    strange = ~bare.str.contains("[0-9]") | bare.str.contains(f"[^0-9A-Z{allowed}]")
    strange |= bare.str.contains("[A-DF-Z]") & ~bare.str.contains(names_a_currency(attribute.currency.code))
    strange |= bare.str.contains(grouped_wrongly(attribute.decimal))
    other = bare.str.contains("(?i)nan|inf") | (bare == "")
    tokens = sorted(tokens_of(attribute))
    if tokens:
        other |= text.is_in(tokens) | bare.is_in(tokens)
    if words:
        other |= bare.str.contains(words)
    return strange & ~other


def but_tokens(attribute: Attribute, parse: Callable[[str], object], quick: pl.Expr) -> pl.Expr:
    """Take from a quick expression of a text column the missing tokens that it could read, other than plain numbers."""
    around, tokens = around_of(attribute), tokens_of(attribute)
    read = [t for t in tokens if not is_number(t) and type(parse(t.strip(around) or t)) is not Unusable]
    if not read:
        return quick
    text = pl.col(attribute.name)
    return pl.when(~text.is_in(read) & ~text.str.strip_chars(around).is_in(read)).then(quick)

"""Decimal text to numbers: the grammar that programs write, and in specs of version 2 what people write.

The grammar of programs is ASCII only. People group thousands, put a currency sign on a side, a minus in brackets, and
in some countries a comma before the decimals (which the spec must declare: 1,234 is never guessed).
"""

import re
from collections.abc import Callable
from functools import lru_cache

import polars as pl

from features.cells.causes import IS_NOT_FINITE, IS_OUTSIDE, IS_TOO_FINE, IS_UNREADABLE
from features.cells.texts import COMMA, POINT

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?$"
MOST_MINOR_UNITS = 10**13  # 100 thousand million units of a currency with cents; keeps sums in 64 bits
_MOST_DIGITS = 15
_PLAIN_NUMBER = r"^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$"

is_number = re.compile(NUMBER).fullmatch
_is_not_finite = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE).fullmatch
_in_parts = re.compile(r"([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?[0-9]{1,4}))?").fullmatch
_ENDS = frozenset("nNfFyY")  # of nan, inf and infinity
_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$"
_ROUND_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{2}0$"
_FOUR_DIGITS = r"[0-9]{4}"
_SIGNS = "$€£¥₹₽₩₪₺₴₫฿₦₱₡₲₵₸₼₾"
_BETWEEN = "'\u2019 \u00a0\u2009\u202f"  # that people put between thousands, beside the point or comma

Parse = Callable[[str], object]
Normal = Callable[[str], str | None]


def with_point(text: str, decimal: str) -> str | None:
    """Return a text with a point before the decimals; None where a point would stand for something else."""
    if decimal == POINT:
        return text
    return None if POINT in text else text.replace(decimal, POINT)


def parse_number(text: str) -> object:
    """Parse decimal text to the nearest float."""
    if is_number(text):
        return float(text)
    return IS_NOT_FINITE if text[-1:] in _ENDS and _is_not_finite(text) else IS_UNREADABLE


def parse_minor_units(digits: int) -> Parse:
    """Return what parses decimal text exactly to minor units; more than `digits` decimals are refused unless 0.

    The text is split into digits and exponent and put together again as one integer: no float is involved.
    """

    def parse(text: str) -> object:
        parts = _in_parts(text)
        if not parts:
            return IS_NOT_FINITE if text[-1:] in _ENDS and _is_not_finite(text) else IS_UNREADABLE
        sign, whole, decimals, only, exponent = parts.groups()
        decimals = decimals if only is None else only
        every = ((whole or "") + decimals).lstrip("0")
        significant = every.rstrip("0")
        if not significant:
            return 0
        shift = int(exponent or 0) - len(decimals) + len(every) - len(significant) + digits
        if shift < 0:
            return IS_TOO_FINE
        if len(significant) + shift > _MOST_DIGITS:
            return IS_OUTSIDE
        value = int(significant) * 10**shift
        return -value if sign == "-" else value

    return parse


@lru_cache(maxsize=64)
def normal_number(decimal: str, code: str) -> Normal:
    """Return what turns a number as people write it into the grammar of programs; None where it is no such number.

    `decimal` is the point or comma before the decimals, `code` the currency's, which may stand beside the number
    (empty: none).
    """
    named = f"|{re.escape(code)}" if code else ""  # an empty alternative would stand on every side of a number
    sign = rf"(?:[A-Z]{{0,2}}[{_SIGNS}]{named})"
    between, point = re.escape(_between(decimal)), re.escape(decimal)
    match = re.compile(
        rf"([+\u2212-]?)({sign}[ \xa0]?)?(\()?({sign}[ \xa0]?)?([+\u2212-]?)"
        rf"(?:([0-9]{{1,3}}(?P<between>[{between}])[0-9]{{3}}(?:(?P=between)[0-9]{{3}})*|[0-9]+)(?:{point}([0-9]*))?"
        rf"|{point}([0-9]+))([eE][+-]?[0-9]{{1,4}})?([ \xa0]?{sign})?(\))?([ \xa0]?{sign})?"
    ).fullmatch

    def normal(text: str) -> str | None:
        if decimal == POINT and is_number(text):
            return text
        parts = match(text)
        if not parts:
            return None
        before, left, opened, inner, within, whole, separator, decimals, only, exponent, right, closed, outer = (
            parts.groups()
        )
        if (opened is None) != (closed is None) or bool(before) + bool(within) + bool(opened) > 1:
            return None
        if (left is not None) + (inner is not None) + (right is not None) + (outer is not None) > 1:
            return None
        digits = whole.replace(separator, "") if separator else whole or "0"
        minus = "-" if (before or within or opened or "+") != "+" else ""
        return f"{minus}{digits}.{decimals or only or ''}{exponent or ''}"

    return normal


def people_write(parse: Parse, decimal: str, code: str) -> Parse:
    """Return what parses the same numbers as people write them."""
    normal = normal_number(decimal, code)

    def read(text: str) -> object:
        plain = normal(text)
        return parse(text if plain is None and decimal == POINT else plain or "")

    return read


def people_use(code: str) -> str:
    """Return all characters that may be part of a number as people write it, beside digits and A to Z."""
    return f"{_SIGNS}{_BETWEEN}{code}{COMMA}{POINT}()+-\u2212%e"


def grouped_wrongly(decimal: str) -> str:
    """Return the regular expression of digits behind what stands between thousands that are not three."""
    return f"[0-9][{re.escape(_between(decimal))}](?:[0-9]{{1,2}}(?:[^0-9]|$)|[0-9]{{4}})"


def names_a_currency(code: str) -> str:
    """Return the regular expression of what must stand in a number beside which letters from A to Z stand, but E."""
    return f"[{_SIGNS}]" + (f"|{re.escape(code)}" if code else "")


def tidied(text: pl.Expr, decimal: str = POINT, code: str = "") -> pl.Expr:
    """Turn the commonest forms of what people write into the grammar of programs; all other text becomes null.

    They are numbers in groups of three with one sign or the code of a currency on a side, negative by a minus or
    brackets.
    """
    groups = "|".join(f"(?:{re.escape(between)}[0-9]{{3}})+" for between in _between(decimal))
    number = rf"(?:[0-9]{{1,3}}(?:{groups})|[0-9]+)(?:{re.escape(decimal)}[0-9]+)?"
    sign = rf"(?:[{_SIGNS}]{'|' + re.escape(code) if code else ''})"
    form = rf"^(?:-?(?:{sign} ?)?{number}|-?{number} ?{sign}|\({sign}?{number}\))$"
    known = pl.when(text.str.contains(form)).then(text)
    digits = _pointed(known.str.replace_all(f"[^0-9{decimal}]", ""), decimal)
    minus = known.str.starts_with("-") | known.str.starts_with("(")
    return pl.when(minus).then("-" + digits).otherwise(digits)


def quick_number(text: pl.Expr, decimal: str = POINT) -> pl.Expr:
    """Parse text of the plain form to Float64; all other text becomes null."""
    form = _PLAIN_NUMBER if decimal == POINT else _PLAIN_NUMBER.replace(r"\.", COMMA)
    plain = pl.when(text.str.contains(form)).then(text)
    return _pointed(plain, decimal).cast(pl.Float64, strict=False)


def quick_minor_units(text: pl.Expr, digits: int, decimal: str = POINT) -> pl.Expr:
    """Parse text such as -34847.84 to Int64 minor units, exactly; all other text becomes null."""
    point = r"\." if decimal == POINT else COMMA
    form = rf"^-?[0-9]{{1,12}}(?:{point}[0-9]{{1,{digits}}})?$" if digits else r"^-?[0-9]{1,12}$"
    plain = _pointed(pl.when(text.str.contains(form)).then(text), decimal)
    return plain.cast(pl.Decimal(18, digits), strict=False).to_physical().cast(pl.Int64)


def _between(decimal: str) -> str:
    return _BETWEEN + (COMMA if decimal == POINT else POINT)


def _pointed(text: pl.Expr, decimal: str) -> pl.Expr:
    return text if decimal == POINT else text.str.replace(COMMA, POINT, literal=True)


def may_be_thousands(texts: pl.Series) -> bool:
    """Tell whether points may part thousands: round ones such as 12.400, which no program writes as a decimal number.

    So it is where each point has three digits behind it and one to three before, which do not begin with 0; where some
    cell ends in 0 behind its point; and where no cell without a point has more than three digits.
    """
    pointed = texts.filter(texts.str.contains(POINT, literal=True))
    if pointed.is_empty() or not bool(pointed.str.contains(_ROUND_THOUSANDS).any()):
        return False
    whole = texts.filter(~texts.str.contains(POINT, literal=True))
    return bool(pointed.str.contains(_THOUSANDS).all()) and not bool(whole.str.contains(_FOUR_DIGITS).any())

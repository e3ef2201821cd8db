"""Attribute cells to clean values, as Polars expressions made from the spec.

A clean column is Float64 (number, integer, duration in months), Int64 minor units (money), String (category, text) or
List(String) (list). Every null in it has exactly one cause beside it, so that nothing becomes missing uncounted.
"""

import math
import re

import polars as pl

from features.errors import InputError
from features.plain_cells import (
    Limits,
    parse_money,
    parse_months,
    parse_number,
    plain_category,
    plain_list,
    plain_quantity,
    plain_text,
)
from features.reading import MISSING, MISSING_TOKEN, UNKNOWN, Condition, Plain, Reading, Stage, piece
from features.spec import Attribute, AttributeKind, Currency
from features.text_values import (
    LARGEST_FLOAT32,
    MOST_MINOR_UNITS,
    NUMBER,
    Parser,
    is_whole,
    minor_units,
    months,
    number,
    outside,
    plain_minor_units,
    plain_months,
    plain_number,
    scaled,
    typed_number,
    whole_numbers,
)

_CATEGORICAL = (AttributeKind.CATEGORY, AttributeKind.LIST)
_TEXTUAL = (*_CATEGORICAL, AttributeKind.TEXT)


def read_attribute(attribute: Attribute, dtype: pl.DataType, currency: Currency) -> Reading:
    """Return how an attribute is read from a column of `dtype`.

    Raises:
        InputError: no attribute of this kind can be read from a column of this type.

    """
    stages, token = _bare_text(attribute, dtype)
    more, conditions = _parser(attribute, dtype, currency)
    if attribute.kind not in _TEXTUAL:
        digits = currency.minor_digits if attribute.kind is AttributeKind.MONEY else 0
        conditions = [
            *conditions,
            *_number_tokens(attribute, digits),
            *outside(attribute.name, attribute.minimum, attribute.maximum, digits),
        ]
    quick, check = _quick(attribute, dtype, currency)
    if dtype != pl.String:
        return Reading(attribute.name, [*stages, *more], [token, *conditions], quick, check)
    cause, plain = _quick_cause(attribute), _plain(attribute, currency)
    return Reading(attribute.name, [*stages, *more], [token, *conditions], quick, check, cause, plain)


def _plain(attribute: Attribute, currency: Currency) -> Plain | None:
    """Return what reads a few cells one by one."""
    tokens = frozenset(token.strip() for token in attribute.missing_tokens) - {""}
    if attribute.kind is AttributeKind.TEXT:
        return plain_text(tokens, attribute.strip)
    if attribute.kind in _CATEGORICAL:
        make = plain_category if attribute.kind is AttributeKind.CATEGORY else plain_list
        return make(_plain_values(attribute), tokens)
    around = _around(attribute)
    if around is None:
        return None
    money = attribute.kind is AttributeKind.MONEY
    digits = currency.minor_digits if money else 0
    low, high = (None if bound is None else scaled(bound, digits) for bound in (attribute.minimum, attribute.maximum))
    limits = Limits(
        most=MOST_MINOR_UNITS if money else LARGEST_FLOAT32,
        whole=attribute.kind in (AttributeKind.INTEGER, AttributeKind.DURATION),
        tokens=frozenset(_numeric_tokens(attribute, digits)),
        low=-math.inf if low is None else low,
        high=math.inf if high is None else high,
    )
    other = parse_months if attribute.kind is AttributeKind.DURATION else parse_number
    dtype = pl.Int64() if money else pl.Float64()
    return plain_quantity(dtype, parse_money(digits) if money else other, limits, tokens, around)


def _plain_values(attribute: Attribute) -> list[str]:
    """Return the values that mean themselves whatever stands around them."""
    tokens = {token.strip() for token in attribute.missing_tokens}
    around = " \t" + attribute.strip
    return [
        v
        for v in attribute.values
        if v not in tokens and "," not in v and not v.startswith("and ") and v == v.strip().strip(around)
    ]


def _around(attribute: Attribute) -> str | None:
    """Return what may be stripped from a plain number unseen; None where that may be part of the number."""
    if set(attribute.strip) & set("0123456789.-e"):
        return None
    tokens = {token.strip() for token in attribute.missing_tokens}
    stripped = [token.strip(" \t" + attribute.strip) for token in tokens]
    return " \t" + attribute.strip if attribute.strip and all(_as_number(t) is None for t in stripped) else ""


def _quick_cause(attribute: Attribute) -> pl.Expr:
    """Tell the cause of the commonest dirt, cells that are empty or a token, and null for the rest."""
    text, tokens = pl.col(attribute.name), [token for token in attribute.missing_tokens if token.strip() == token != ""]
    return pl.when(text == "").then(pl.lit(MISSING)).when(text.is_in(tokens)).then(pl.lit(MISSING_TOKEN))


def _quick(attribute: Attribute, dtype: pl.DataType, currency: Currency) -> tuple[pl.Expr | None, pl.Expr | None]:
    """Take plain cells at once: known categories, and numbers in range that are no missing token."""
    text = pl.col(attribute.name) if dtype == pl.String else as_text(attribute, dtype)
    if attribute.kind is AttributeKind.TEXT:
        return None, None
    if attribute.kind in _CATEGORICAL:
        one = pl.when(text.is_in(_plain_values(attribute))).then(text)
        return (one if attribute.kind is AttributeKind.CATEGORY else one.str.split(",")), None
    around = _around(attribute)
    if around is None:
        return None, None
    return _quick_number(attribute, dtype, text.str.strip_chars(around) if around else text, currency)


def _quick_number(
    attribute: Attribute, dtype: pl.DataType, text: pl.Expr, currency: Currency
) -> tuple[pl.Expr, pl.Expr]:
    money, value = attribute.kind is AttributeKind.MONEY, pl.col(attribute.name)
    digits = currency.minor_digits if money else 0
    if money:
        quick, check = plain_minor_units(text, digits), value.abs() <= MOST_MINOR_UNITS
    elif _is_exact(dtype) and attribute.kind is not AttributeKind.DURATION:
        quick, check = value.cast(pl.Float64), value.abs() <= LARGEST_FLOAT32
    elif attribute.kind is AttributeKind.DURATION:
        quick, check = plain_months(text), value.is_not_null()
    else:
        quick, check = plain_number(text), value.is_not_null()
    bounds = [attribute.minimum, attribute.maximum]
    low, high = (None if bound is None else scaled(bound, digits) for bound in bounds)
    checks = [check, *([] if low is None else [value >= low]), *([] if high is None else [value <= high])]
    numeric = _numeric_tokens(attribute, digits)
    checks += [~value.cast(pl.Float64).is_in(numeric)] if numeric else []
    checks += [is_whole(value)] if attribute.kind in (AttributeKind.INTEGER, AttributeKind.DURATION) else []
    return quick, pl.all_horizontal(checks)


def _is_exact(dtype: pl.DataType) -> bool:
    """Tell whether a number is what the column holds; a shorter float means its shortest decimal, as in text."""
    return dtype.is_integer() or dtype == pl.Float64


def _bare_text(attribute: Attribute, dtype: pl.DataType) -> tuple[list[Stage], Condition]:
    """Make the pieces `text` (trimmed), `stripped` and `bare` (null where empty or a missing token)."""
    name = attribute.name
    text, stripped, token = piece(name, "text"), piece(name, "stripped"), piece(name, "token")
    tokens = [token.strip() for token in attribute.missing_tokens if token.strip()]
    listed = text.is_in(tokens) | stripped.is_in(tokens) | (stripped == "")
    stages = [
        [as_text(attribute, dtype).alias(f"{name}|text")],
        [pl.when(text != "").then(text.str.strip_chars(" \t" + attribute.strip)).alias(f"{name}|stripped")],
        [listed.fill_null(value=False).alias(f"{name}|token")],
        [pl.when(~token).then(stripped).alias(f"{name}|bare")],
    ]
    return stages, (token, MISSING_TOKEN)


def as_text(attribute: Attribute, dtype: pl.DataType) -> pl.Expr:
    """Return the trimmed text that a cell stands for, as a CSV file or a message would hold it; null stays null.

    Raises:
        InputError: no attribute of this kind can be read from a column of this type.

    """
    column = pl.col(attribute.name)
    if attribute.kind is AttributeKind.LIST and dtype == pl.List(pl.String):
        return column.list.join(",", ignore_nulls=False).str.strip_chars()
    if dtype.is_float() and attribute.kind in _TEXTUAL:  # 1.0 is the category "1"
        integral = (column == column.floor()) & (column.abs() < 2**53)
        digits = pl.when(integral).then(column).cast(pl.Int64).cast(pl.String)
        return pl.coalesce(digits, column.cast(pl.String))
    if dtype == pl.Float16:
        column = column.cast(pl.Float32)
    readable = isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)) or dtype.is_numeric()
    if readable or (dtype == pl.Boolean and attribute.kind is AttributeKind.CATEGORY):
        return column.cast(pl.String).str.strip_chars()
    raise InputError(
        f"column {attribute.name!r} is {dtype.base_type()}, expected text or numbers for kind {attribute.kind}. "
        "Cast the column where the file is made, or change the kind in the spec."
    )


def _parser(attribute: Attribute, dtype: pl.DataType, currency: Currency) -> Parser:
    name = attribute.name
    if attribute.kind is AttributeKind.MONEY:
        return minor_units(name, currency.minor_digits)
    if attribute.kind is AttributeKind.CATEGORY:
        return _category(attribute)
    if attribute.kind is AttributeKind.LIST:
        return _list(attribute)
    if attribute.kind is AttributeKind.TEXT:
        return [[piece(name, "bare").alias(f"{name}|value")]], []
    if attribute.kind is AttributeKind.DURATION:
        stages, conditions = months(name)
        return stages, conditions + whole_numbers(name)
    stages, conditions = typed_number(name) if _is_exact(dtype) else number(name)
    return stages, conditions + (whole_numbers(name) if attribute.kind is AttributeKind.INTEGER else [])


def _category(attribute: Attribute) -> Parser:
    bare = piece(attribute.name, "bare")
    unknown = bare.is_in(attribute.values).not_()
    return [[bare.alias(f"{attribute.name}|value")]], [(unknown, UNKNOWN)]


def _list(attribute: Attribute) -> Parser:
    """Split `A, B, and C` at its commas; one unknown member makes the whole list unknown."""
    member = pl.element().str.strip_chars().str.strip_prefix("and ").str.strip_chars()
    members = piece(attribute.name, "bare").str.split(",").list.eval(member)
    unknown = piece(attribute.name, "value").list.eval(pl.element().is_in(attribute.values).not_()).list.any()
    return [[members.alias(f"{attribute.name}|value")]], [(unknown, UNKNOWN)]


def _number_tokens(attribute: Attribute, digits: int) -> list[Condition]:
    """A missing token that is a number (999) is missing in every spelling (999.0), as text and as a number."""
    tokens = _numeric_tokens(attribute, digits)
    return [(piece(attribute.name, "value").cast(pl.Float64).is_in(tokens), MISSING_TOKEN)] if tokens else []


def _numeric_tokens(attribute: Attribute, digits: int) -> list[float]:
    return [scaled(n, digits) for n in map(_as_number, attribute.missing_tokens) if n is not None]


def _as_number(token: str) -> float | None:
    return float(token.strip()) if re.match(NUMBER, token.strip()) else None

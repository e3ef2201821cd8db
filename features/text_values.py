"""Text to numbers, money and months. One grammar for CSV cells, JSON text and Float columns.

Each function reads the piece `bare` (trimmed text, null where missing) of a column and returns the stages that make
its `value`, and the conditions that make it unusable. The grammar is ASCII only, so thousands separators, currency
signs and decimal commas are unreadable, never guessed.
"""

from decimal import Decimal

import polars as pl

from features.reading import (
    NOT_FINITE,
    NOT_WHOLE,
    OUT_OF_RANGE,
    TOO_MANY_DECIMALS,
    UNREADABLE,
    Condition,
    Stage,
    piece,
)

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?$"
MOST_MINOR_UNITS = 10**13  # 100 thousand million units of a currency with cents; keeps sums in 64 bits
LARGEST_FLOAT32 = 3.4028234663852886e38
LARGEST_EXACT_INTEGER = 2**53
_NOT_FINITE = r"^[+-]?(?i:nan|inf|infinity)$"
_MONTHS = r"^([0-9]{1,4}) Years?(?:(?:,? and |, | )(0?[0-9]|1[01]) Months?)?$"
_ONLY_MONTHS = r"^([0-9]{1,5}) Months?$"
DURATION = f"{_MONTHS}|{_ONLY_MONTHS}"
_MOST_DIGITS = 15

Parser = tuple[list[Stage], list[Condition]]

# Forms that programs write. What has one of them needs no closer look, which makes reading several times faster.
PLAIN_MONTHS = r"^([0-9]{1,4}) Years and ([0-9]|1[01]) Months$"
PLAIN_NUMBER = r"^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$"


def plain_money_form(digits: int) -> str:
    """Return the form of money that programs write."""
    return rf"^-?[0-9]{{1,12}}(?:\.[0-9]{{1,{digits}}})?$" if digits else r"^-?[0-9]{1,12}$"


def plain_number(text: pl.Expr) -> pl.Expr:
    """Parse text of the plain form to Float64; all other text becomes null."""
    return pl.when(text.str.contains(PLAIN_NUMBER)).then(text).cast(pl.Float64, strict=False)


def plain_months(text: pl.Expr) -> pl.Expr:
    """Parse `22 Years and 1 Months`, or a plain number, to months; all other text becomes null."""
    words = pl.when(text.str.contains(PLAIN_MONTHS)).then(text)
    years, rest = words.str.extract("^([0-9]+)", 1), words.str.extract("([0-9]+) Months$", 1)
    return pl.coalesce(years.cast(pl.Float64) * 12 + rest.cast(pl.Float64), plain_number(text))


def plain_minor_units(text: pl.Expr, digits: int) -> pl.Expr:
    """Parse text such as -34847.84 to Int64 minor units, exactly; all other text becomes null."""
    decimal = pl.when(text.str.contains(plain_money_form(digits))).then(text).cast(pl.Decimal(18, digits), strict=False)
    return decimal.to_physical().cast(pl.Int64)


def number(name: str) -> Parser:
    """Parse decimal text to Float64, correctly rounded. 1e400 and NaN are not finite."""
    bare = piece(name, "bare")
    parsed = pl.when(bare.str.contains(NUMBER)).then(bare).cast(pl.Float64, strict=False)
    return [[parsed.alias(f"{name}|value")]], _number_conditions(name)


def _number_conditions(name: str) -> list[Condition]:
    bare, value = piece(name, "bare"), piece(name, "value")
    return [
        (bare.str.contains(_NOT_FINITE), NOT_FINITE),
        (bare.is_not_null() & value.is_null(), UNREADABLE),
        (value.abs() > LARGEST_FLOAT32, NOT_FINITE),
    ]


def typed_number(name: str) -> Parser:
    """Take a column of integers or floats as Float64. NaN, infinity and what float32 cannot hold are not finite."""
    value = piece(name, "value")
    stage = [pl.col(name).cast(pl.Float64).alias(f"{name}|value")]
    return [stage], [(~(value.abs() <= LARGEST_FLOAT32), NOT_FINITE)]


def months(name: str) -> Parser:
    """Parse a duration such as `22 Years and 1 Months` to months; a plain number is months already."""
    bare = piece(name, "bare")
    years, rest = bare.str.extract(_MONTHS, 1).cast(pl.Float64), bare.str.extract(_MONTHS, 2).cast(pl.Float64)
    plain = pl.when(bare.str.contains(NUMBER)).then(bare).cast(pl.Float64, strict=False)
    only = bare.str.extract(_ONLY_MONTHS, 1).cast(pl.Float64)
    parsed = pl.coalesce(years * 12 + rest.fill_null(0), only, plain)
    return [[parsed.alias(f"{name}|value")]], _number_conditions(name)


def minor_units(name: str, digits: int) -> Parser:
    """Parse decimal text exactly to Int64 minor units; more than `digits` decimals is refused unless they are 0.

    The text is split into digits and exponent and put together again as one integer: no float is involved.
    """
    bare, mantissa = piece(name, "bare"), piece(name, "mantissa")
    significant, shift = piece(name, "significant"), piece(name, "shift")
    zero = significant == ""
    length = significant.str.len_bytes().cast(pl.Int64) + shift
    fits = ~zero & (shift >= 0) & (length <= _MOST_DIGITS)
    zeros = pl.lit("0" * _MOST_DIGITS).str.head(pl.when(fits).then(shift).otherwise(0))
    whole = pl.concat_str(pl.when(fits).then(significant), zeros).cast(pl.Int64)
    signed = pl.when(bare.str.starts_with("-")).then(-whole).otherwise(whole)
    stages = [
        [pl.when(bare.str.contains(NUMBER)).then(bare.str.extract(r"^[+-]?([0-9.]+)", 1)).alias(f"{name}|mantissa")],
        [_significant(mantissa).alias(f"{name}|significant"), _shift(bare, mantissa, digits).alias(f"{name}|shift")],
        [pl.when(zero).then(pl.lit(0, dtype=pl.Int64)).otherwise(signed).alias(f"{name}|value")],
    ]
    conditions = [
        (bare.str.contains(_NOT_FINITE), NOT_FINITE),
        (bare.is_not_null() & mantissa.is_null(), UNREADABLE),
        (~zero & (shift < 0), TOO_MANY_DECIMALS),
        (~zero & (length > _MOST_DIGITS), OUT_OF_RANGE),
        (piece(name, "value").abs() > MOST_MINOR_UNITS, OUT_OF_RANGE),
    ]
    return stages, conditions


def _digits(mantissa: pl.Expr) -> pl.Expr:
    return mantissa.str.replace(".", "", literal=True).str.strip_chars_start("0")


def _significant(mantissa: pl.Expr) -> pl.Expr:
    return _digits(mantissa).str.strip_chars_end("0")


def _shift(bare: pl.Expr, mantissa: pl.Expr, digits: int) -> pl.Expr:
    """Return s, where value = significant digits * 10^s minor units."""
    exponent = bare.str.extract(r"[eE]([+-]?[0-9]{1,4})$", 1).str.strip_prefix("+").cast(pl.Int64).fill_null(0)
    decimals = mantissa.str.extract(r"\.([0-9]*)$", 1).str.len_bytes().fill_null(0).cast(pl.Int64)
    trailing = _digits(mantissa).str.len_bytes().cast(pl.Int64) - _significant(mantissa).str.len_bytes().cast(pl.Int64)
    return exponent - decimals + trailing + digits


def whole_numbers(name: str) -> list[Condition]:
    """Refuse numbers with a fraction, and those that Float64 does not hold exactly."""
    value = piece(name, "value")
    return [(~is_whole(value), NOT_WHOLE)]


def is_whole(value: pl.Expr) -> pl.Expr:
    """Tell whether a number is whole and held exactly by Float64."""
    return (value == value.floor()) & (value.abs() <= LARGEST_EXACT_INTEGER)


def outside(name: str, lowest: float | None, highest: float | None, minor_digits: int) -> list[Condition]:
    """Refuse values below `lowest` or above `highest`, both in units of which the value has 10^minor_digits."""
    value = piece(name, "value")
    conditions = []
    if lowest is not None:
        conditions.append((value < scaled(lowest, minor_digits), OUT_OF_RANGE))
    if highest is not None:
        conditions.append((value > scaled(highest, minor_digits), OUT_OF_RANGE))
    return conditions


def scaled(bound: float, minor_digits: int) -> float:
    """Return a bound in minor units, without the error of a float multiplication."""
    return float(Decimal(str(bound)).scaleb(minor_digits))

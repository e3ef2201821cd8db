"""Guess what a column of an applications table is: kind, range or values, missing tokens, characters to strip."""

import math
from dataclasses import dataclass

import polars as pl

from features.text_values import DURATION, NUMBER

MOST_VALUES = 60
_MOSTLY = 0.9
_NEARLY_ALL = 0.95
_FEWEST_IDENTIFIERS = 20
_IDENTIFIER = r"^\+?[0-9]{7,}$"
_STRIPPED = "_*"
_WORDS_FOR_MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "unknown", "Unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A guess; `kind` None says why the column cannot be an attribute as it is."""

    kind: str | None
    note: str
    bounds: tuple[float, float] | None = None
    values: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    strip: str = ""


def guess_column(column: pl.Series) -> Guess:
    """Guess from all cells of a column, text or typed."""
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        return Guess(kind=None, note=f"holds {column.dtype}; cast it to text or numbers")
    text = column.cast(pl.String).str.strip_chars()
    text = text.filter(text.is_not_null() & (text != ""))
    if text.is_empty():
        return Guess(kind=None, note="has no values")
    tokens = tuple(sorted(_missing_tokens(text)))
    text = text.filter(~text.is_in(tokens))
    bare = text.str.strip_chars(_STRIPPED)
    if _is_number_plate(bare):
        return Guess(kind=None, note="looks like a phone number or another identifier; a quantity can be added by hand")
    if _share(bare, NUMBER) >= _MOSTLY and bare.n_unique() > 2:
        strip = "".join(c for c in _STRIPPED if _stands_around_numbers(text, c))
        return _number(bare, tokens, strip)
    if _share(bare, DURATION) >= _MOSTLY:
        return Guess(kind="duration", note="a duration, in months", tokens=tokens)
    return _texts(text, tokens)


def _is_number_plate(text: pl.Series) -> bool:
    """Say whether nearly all cells are different runs of equally many digits, as identifiers and phone numbers are."""
    digits = text.filter(text.str.contains(_IDENTIFIER))
    if len(digits) < max(_FEWEST_IDENTIFIERS, _NEARLY_ALL * len(text)):
        return False
    commonest = int(digits.str.len_bytes().value_counts()["count"].max())  # type: ignore[arg-type]
    return digits.n_unique() >= _NEARLY_ALL * len(digits) and commonest >= _NEARLY_ALL * len(digits)


def _texts(text: pl.Series, tokens: tuple[str, ...]) -> Guess:
    """A list where splitting at commas leaves fewer different texts, else a category, else nothing that can be used."""
    strip = "".join(c for c in _STRIPPED if _stands_around_texts(text, c))
    whole = (text.str.strip_chars(strip) if strip else text).unique().sort()
    members = whole.str.split(",").explode().str.strip_chars().str.strip_prefix("and ").str.strip_chars()
    members = members.filter(members != "").unique().sort()
    if 0 < len(members) <= MOST_VALUES and len(members) < len(whole):
        return Guess(kind="list", note="its members as found", values=tuple(members), tokens=tokens, strip=strip)
    if 0 < len(whole) <= MOST_VALUES:
        return Guess(kind="category", note="its values as found", values=tuple(whole), tokens=tokens, strip=strip)
    return Guess(kind=None, note=f"has {len(whole):,} different texts")


def _missing_tokens(text: pl.Series) -> list[str]:
    """List texts without any letter or digit, usual words for "not known", and garble such as `!@9#%8`."""
    empty = ~text.str.contains(r"[\p{L}\p{N}]")
    garbled = text.str.contains(r"^[#!@$%&*?][^\s]*[#%@$&*!?][^\s]*$")
    return text.filter(empty | text.is_in(_WORDS_FOR_MISSING) | garbled).unique().to_list()


def _stands_around_numbers(text: pl.Series, character: str) -> bool:
    around = text.filter(text.str.starts_with(character) | text.str.ends_with(character))
    return bool(around.str.strip_chars(character).str.contains(NUMBER).any())


def _stands_around_texts(text: pl.Series, character: str) -> bool:
    """Say whether a character stands around texts that all occur without it too, so that it is dirt and no name."""
    around = text.filter(text.str.starts_with(character) | text.str.ends_with(character)).unique()
    return len(around) > 0 and bool(around.str.strip_chars(character).is_in(text.unique().to_list()).all())


def _share(text: pl.Series, pattern: str) -> float:
    return float(text.str.contains(pattern).sum()) / max(len(text), 1)


def _number(bare: pl.Series, tokens: tuple[str, ...], strip: str) -> Guess:
    """Guess a range from the quartiles, which a few impossible cells cannot move."""
    numbers = bare.cast(pl.Float64, strict=False).drop_nulls()
    numbers = numbers.filter(numbers.is_finite())
    low, first, third, high = (float(numbers.quantile(q, "nearest") or 0.0) for q in (0.02, 0.25, 0.75, 0.98))
    slack = 10 * (third - first) or 2 * (high - low) or 1.0
    bounds = (0.0 if low >= 0 else _outwards(first - slack), _outwards(third + slack))
    within = numbers.filter((numbers >= bounds[0]) & (numbers <= bounds[1]))
    whole = len(within) > 0 and bool((within == within.floor()).all())
    lowest, highest = (float(numbers.quantile(q, "nearest") or 0.0) for q in (0, 1))
    note = f"found {lowest:g} to {highest:g}, {len(numbers) - len(within):,} cells outside this range"
    return Guess(kind="integer" if whole else "number", note=note, bounds=bounds, tokens=tokens, strip=strip)


def _outwards(value: float) -> float:
    """Round to two significant digits, away from zero."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return math.copysign(math.ceil(abs(value) / unit) * unit, value)

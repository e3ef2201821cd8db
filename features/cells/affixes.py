"""A word that stands beside every number of a column: `30 days`, `USD 1,200`, `4 persons`."""

import re

import polars as pl

from features.cells.guess import Found
from features.cells.kinds.duration import WRITTEN

_CURRENCIES = (
    r"(?:EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|JPY|CNY|INR|AUD|CAD|NZD|SGD|HKD|ZAR|BRL|MXN|RUB|UAH|KES|NGN"
    r"|Rs\.?|kr\.?|z\u0142|Fr\.?|Rp|RM|Euro)"
)
_BEFORE = rf"^({_CURRENCIES})\s*[-+]?[0-9]"
_BEHIND = r"[0-9]\s*([\p{L}]{2,12}\.?)$"
_OF_NUMBERS = re.compile(r"[0-9.,+-]")
_STEM = 3
_MOSTLY = 0.9


def word_beside(found: Found) -> tuple[str, str] | None:
    """Return the characters of the word that stands beside (nearly) all numbers, and the word; None where none does.

    Singular and plural are one word. Two words, as in `3 days` and `2 weeks`, mean two things: then there is none.
    """
    if found.names_things or found.share(WRITTEN) >= _MOSTLY:
        return None
    for pattern in (_BEFORE, _BEHIND):
        word = found.text.str.extract(pattern, 1)
        if found.weight(word.is_not_null()) < _MOSTLY:
            continue
        said = word.drop_nulls().unique().to_list()
        if len({text.casefold().rstrip(".")[:_STEM] for text in said}) == 1:
            return "".join(sorted({c for text in said for c in _OF_NUMBERS.sub("", text)})), max(said, key=len)
    return None


def without(text: pl.Series, characters: str) -> pl.Series:
    """Take characters and blanks from both sides of texts."""
    return text.str.strip_chars(f"{characters} \t\xa0")

"""Ranges such as `735-739`, `< 500` and `5001+`, which are categories in the order of their lower bounds."""

import re

import polars as pl

from features.cells.guess import Found

_AMOUNT = r"[$\u20ac\u00a3]?[0-9][0-9,.']*(?:k|m|%)?"
_UNDER = r"<=?|\u2264|under|up to|below|less than|fewer than|unter|bis|bis zu|weniger als|moins de|menos de|meno di"
_OVER = r">=?|\u2265|over|above|more than|from|\u00fcber|mehr als|ab|plus de|m\u00e1s de|mas de|mais de|oltre"
_UNIT = r"(?:\s*[a-z\u00e0-\u017f\u20ac$%]{1,10}\.?)?"
_BETWEEN = r"(?:-|\u2013|\u2014|to|bis|a|\u00e0|until)"
_RANGE = (
    rf"^(?:(?:{_UNDER}|{_OVER})\s*)?{_AMOUNT}{_UNIT}\s*(?:{_BETWEEN}\s*{_AMOUNT}|\+|or more|and more|und mehr|et plus)?"
    rf"{_UNIT}$|^{_AMOUNT}\s*<=?\s*[a-z]\s*<=?\s*{_AMOUNT}{_UNIT}$"
)
_bounds = re.compile(r"[0-9](?:[0-9,.']*[0-9])?").findall
_below = re.compile(rf"(?:{_UNDER})\s*[$\u20ac\u00a3]?[0-9]").match
_above = re.compile(rf"(?:{_OVER})\s*[$\u20ac\u00a3]?[0-9]|.*(?:\+|or more|and more|und mehr|et plus)").match
_MOST_RANGES = 60


def is_ranges(found: Found) -> bool:
    """Tell whether all cells are ranges or single numbers, and half of them or more are ranges."""
    if not 1 < len(found.text) <= _MOST_RANGES:
        return False
    return bool(_forms(found).all()) and _are_not_numbers(found)


def are_mostly_ranges(found: Found) -> bool:
    """Tell whether half of the cells or more are ranges, and others words, so that nothing says where those rank."""
    if not 1 < len(found.text) <= _MOST_RANGES:
        return False
    forms = _forms(found)
    return not bool(forms.all()) and int(forms.sum()) * 2 >= len(forms) and _are_not_numbers(found)


def _forms(found: Found) -> pl.Series:
    return found.text.str.to_lowercase().str.contains(_RANGE)


def _are_not_numbers(found: Found) -> bool:
    """Tell whether half of the cells or more are more than a number with a word beside it."""
    plain = found.text.str.to_lowercase().str.contains(rf"^{_AMOUNT}{_UNIT}$")
    return int(plain.sum()) <= len(found.text) / 2


def lower_bound(text: str) -> tuple[float, int, str]:
    """Return what ranges are ordered by."""
    said = text.strip().lower()
    numbers = [_number(text) for text in _bounds(said)]
    return (numbers[0], -1 if _below(said) else int(bool(_above(said))), text)


def _number(text: str) -> float:
    """Read a bound: what stands before three last digits groups thousands, else the last point or comma is decimal."""
    plain = re.sub(r"[,.'](?=[0-9]{3}(?:[^0-9]|$))", "", text).replace("'", "").replace(",", ".")
    whole, _, decimals = plain.rpartition(".") if "." in plain else (plain, "", "")
    return float(f"{whole.replace('.', '') or 0}.{decimals or 0}")

"""Ranges such as `735-739`, `< 500` and `5001+`, which are categories in the order of their lower bounds."""

import re

from features.cells.decimals import NUMBER
from features.cells.guess import Found

_AMOUNT = r"\$?[0-9][0-9,.]*(?:k|m|%)?"
_SIDE = r"(?:[<\u2264]=?|>=?|\u2265|under|over|up to|below|above)\s*"
_RANGE = rf"^(?:{_SIDE})?{_AMOUNT}\s*(?:(?:-|\u2013|to|bis)\s*{_AMOUNT}|\+|or more)?$"
_bounds = re.compile(r"[0-9][0-9,.]*").findall
_below = re.compile(r"[<\u2264]|under |up to |below ").match
_above = re.compile(r"[>\u2265]|over |above |.*(?:\+|or more)$").match
_MOST_RANGES = 60


def is_ranges(found: Found) -> bool:
    """Tell whether all cells are ranges or single numbers, and half of them or more are ranges."""
    if not 1 < len(found.text) <= _MOST_RANGES:
        return False
    forms = found.text.str.to_lowercase().str.contains(_RANGE)
    plain = found.text.str.contains(NUMBER)
    return bool(forms.all()) and int(plain.sum()) <= len(found.text) / 2


def lower_bound(text: str) -> tuple[float, int, str]:
    """Return what ranges are ordered by."""
    said = text.strip().lower()
    numbers = [float(number.replace(",", "").strip(".") or 0) for number in _bounds(said)]
    return (numbers[0], -1 if _below(said) else int(bool(_above(said))), text)

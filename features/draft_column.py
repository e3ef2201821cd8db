"""Guess what a column of an applications table is: each attribute kind is asked whether the cells look like its own."""

import polars as pl

from features.cells import KINDS, Found, Guess

_NEARLY_ALL = 0.95
_FEWEST_IDENTIFIERS = 20
_IDENTIFIER = r"^\+?[0-9]{7,}$"
_WORDS_FOR_MISSING = ("NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "unknown", "Unknown")


def guess_column(column: pl.Series) -> Guess:
    """Guess from all cells of a column, text or typed."""
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        return Guess(kind=None, note=f"holds {column.dtype}; cast it to text or numbers")
    text = column.cast(pl.String).str.strip_chars()
    text = text.filter(text.is_not_null() & (text != ""))
    if text.is_empty():
        return Guess(kind=None, note="has no values")
    tokens = tuple(sorted(_missing_tokens(text)))
    found = Found(text.filter(~text.is_in(tokens)), tokens)
    if _is_number_plate(found.bare):
        return Guess(kind=None, note="looks like a phone number or another identifier; a quantity can be added by hand")
    guesses = (kind.draft(found) for kind in KINDS.values())
    unknown = Guess(kind=None, note=f"has {found.text.n_unique():,} different texts")
    return next((guess for guess in guesses if guess is not None), unknown)


def _is_number_plate(text: pl.Series) -> bool:
    """Say whether nearly all cells are different runs of equally many digits, as identifiers and phone numbers are."""
    digits = text.filter(text.str.contains(_IDENTIFIER))
    if len(digits) < max(_FEWEST_IDENTIFIERS, _NEARLY_ALL * len(text)):
        return False
    commonest = int(digits.str.len_bytes().value_counts()["count"].max())  # type: ignore[arg-type]
    return digits.n_unique() >= _NEARLY_ALL * len(digits) and commonest >= _NEARLY_ALL * len(digits)


def _missing_tokens(text: pl.Series) -> list[str]:
    """List texts without any letter or digit, usual words for "not known", and garble such as `!@9#%8`."""
    empty = ~text.str.contains(r"[\p{L}\p{N}]")
    garbled = text.str.contains(r"^[#!@$%&*?][^\s]*[#%@$&*!?][^\s]*$")
    return text.filter(empty | text.is_in(_WORDS_FOR_MISSING) | garbled).unique().to_list()

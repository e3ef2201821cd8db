"""What kind a column's cells are of: each attribute kind is asked whether they look like its own."""

import polars as pl

from features.cells import KINDS, Found, Guess
from features.cells.by_value import spellings_of
from features.cells.category import listable
from features.draft.column import Column
from features.draft.left_out import is_code

_WORDS_FOR_MISSING = (
    *("NA", "N/A", "n/a", "na", "NaN", "nan", "null", "NULL", "Null", "None", "none", "NONE", "unknown", "Unknown"),
    *(
        "UNKNOWN",
        "XNA",
        "#N/A",
        "missing",
        "Missing",
        "MISSING",
        "not available",
        "Not Available",
        "<NA>",
        "NaT",
        "nil",
    ),
)
_COMMON = 20


def missing_tokens(column: Column) -> pl.Series:
    """Select texts without any letter or digit, usual words for "not known", and garble such as `!@9#%8`."""
    empty = ~column.text.str.contains(r"[\p{L}\p{N}]")
    garbled = column.text.str.contains(r"^[#!@$%&*?][^\s]*[#%@$&*!?][^\s]*$")
    return empty | garbled | column.text.is_in(_WORDS_FOR_MISSING)


def guess_kind(column: Column, tokens: tuple[str, ...]) -> Guess | None:
    """Guess the kind of a column without its missing tokens; None: texts of too many kinds."""
    found = Found(column.text, tokens, column.counts, names_things=is_code(column))
    guesses = (kind.draft(found) for kind in KINDS.values())
    return next((guess for guess in guesses if guess is not None), None)


def commonest(column: Column, tokens: tuple[str, ...]) -> Guess | None:
    """Make a category of the 20 commonest of too many values; None where a spec can list none of them."""
    counted = pl.DataFrame({"text": column.text, "rows": -column.counts}).group_by("text").sum().sort("rows", "text")
    values = spellings_of(listable(counted["text"].head(_COMMON), ""))
    note = "its commonest values; all others are unusable"
    return Guess(kind="category", note=note, values=values, tokens=tokens) if values else None

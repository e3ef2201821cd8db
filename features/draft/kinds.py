"""What kind a column's cells are of: each attribute kind is asked whether they look like its own."""

import polars as pl

from features.cells import KINDS, Found, Guess
from features.cells.by_value import spellings_of
from features.cells.kinds.category import listable
from features.draft.column import Column
from features.draft.left_out import is_code

_WORDS_FOR_MISSING = {  # in lower case
    *("na", "n/a", "n.a.", "n.a", "nan", "null", "none", "unknown", "xna", "#n/a", "missing", "not available", "<na>"),
    *("nat", "nil", "not known", "not stated", "undefined", "#null!", "#value!", "#div/0!", "#ref!", "#name?", "#num!"),
    *("k.a.", "k. a.", "keine angabe", "unbekannt", "n.v.", "n.d.", "n/d", "s/d", "inconnu", "non renseign\u00e9"),
    *("desconocido", "sin dato", "sin datos", "desconhecido", "sconosciuto", "onbekend", "brak danych", "nieznany"),
}
_MAY_BE_MEANT = {"none", "nil", "unknown"}  # among words these say something, as in guarantor: none
_COMMON = 20


def missing_tokens(column: Column) -> pl.Series:
    """Select texts without any letter or digit, usual words for "not known", and garble such as `!@9#%8`."""
    empty = ~column.text.str.contains(r"[\p{L}\p{N}]")
    garbled = column.text.str.contains(r"^[#!@$%&*?][^\s]*[#%@$&*!?][^\s]*$")
    return empty | garbled | is_word_for_missing(column.text)


def is_word_for_missing(text: pl.Series) -> pl.Series:
    """Select usual words for "not known"."""
    return text.str.to_lowercase().is_in(sorted(_WORDS_FOR_MISSING))


def meant(column: Column, tokens: pl.Series) -> pl.Series | None:
    """Select words for "not known" that are values of their own, as all other cells are words; None: there are none.

    `tokens` selects the missing tokens.
    """
    words = column.text.str.to_lowercase().is_in(sorted(_MAY_BE_MEANT))
    rest = column.only(~tokens)
    if not words.any() or not len(rest.cells):
        return None
    guess = guess_kind(rest, ())
    return words if guess is not None and guess.kind == "category" and not guess.keys else None


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

"""Columns that are drafted out, each with its true reason: identifiers, codes, constants, names of persons."""

import re

import polars as pl

from features.cells.kinds.category import MOST_VALUES
from features.draft.column import Column
from features.names import words

_NEARLY_ALL = 0.95
_FEWEST = 20
_LONG_DIGITS = r"^\+?[0-9]{7,}$"
_LEADING_ZERO = r"^0[0-9]+$"
_WHOLE = r"^[+-]?[0-9]+(?:\.0*)?$"
_MASKED = r"^[0-9]+[xX*#]{1,4}$"
_WEB = r"^(?i:https?://|www\.)\S+$"
_INSTANTS = {"epoch_milliseconds": (9e11, 3e12), "epoch_seconds": (9e8, 3e9)}
_IDENTIFIERS = {
    *(
        "id",
        "ids",
        "uuid",
        "guid",
        "key",
        "iban",
        "bic",
        "ssn",
        "tin",
        "nin",
        "pesel",
        "passport",
        "phone",
        "telephone",
    ),
    *("mobile", "fax", "acct", "ref", "reference", "serial", "telefon", "konto", "kontonummer", "vin"),
}
_NUMBERS = {"number", "no", "nr", "num", "nummer", "numero"}
_NUMBERED = {
    "account",
    "card",
    "customer",
    "client",
    "contract",
    "loan",
    "member",
    "policy",
    "application",
    "tax",
    "file",
}
_PERSONS = {
    "name",
    "surname",
    "firstname",
    "lastname",
    "fullname",
    "email",
    "mail",
    "street",
    "address",
    "adresse",
    "nom",
}
_PLACES = {"zip", "zipcode", "zip5", "postal", "postcode", "plz", "pincode", "cap", "postleitzahl", "zip3", "zip4"}
_CODES = {
    *("naics", "sic", "nace", "fips", "msa", "tract", "census", "branch", "district", "county", "region", "territory"),
    *("code", "codes", "areacode", "sector", "industry", "bankid", "isic", "mcc", "occupation", "dealer", "agent"),
}
_FEW_WORDS = 3
_MONTHS = {  # the first three letters of months in the languages of Europe, without accents
    *("jan", "jae", "ene", "gen", "jnv", "sty", "led", "feb", "fev", "fvr", "lut", "uno", "mar", "mrz", "mae", "mrt"),
    *("maa", "apr", "avr", "abr", "kwi", "dub", "mai", "maj", "may", "mag", "mei", "kve", "jun", "jui", "giu", "cze"),
    *("cer", "kes", "jul", "lug", "lip", "hei", "aug", "aou", "ago", "sie", "srp", "elo", "sep", "set", "wrz", "zar"),
    *("okt", "oct", "out", "ott", "paz", "rij", "lok", "nov", "lis", "mar", "dez", "dec", "dic", "gru", "pro", "jou"),
}
_NAMED_DATE = r"^(?:[0-9]{1,2}[-. /]{0,2})?(\p{L}{3,10})\.?[-. /]{0,2}(?:[0-9]{4}|[0-9]{2})$"
_MOST_MONTHS, _FEWEST_MONTHS = 26, 2


def is_code(column: Column) -> bool:
    """Tell whether the digits of a column name something and measure nothing: leading zeros, or a name that says so."""
    said = set(words(column.name))
    if (_PLACES | _CODES) & said and bool(column.text.str.contains(_MASKED).all()):
        return True
    if not bool(column.text.str.contains(_WHOLE).all()):
        return False
    zeros = column.text.filter(column.text.str.contains(_LEADING_ZERO))
    return bool((_PLACES | _CODES) & said) or (len(zeros) > 0 and column.text.str.len_bytes().n_unique() == 1)


def reason_to_leave(column: Column, *, measures: bool = False) -> str | None:
    """Say why a column can be no attribute as it stands; None where nothing speaks against it.

    `measures`: its cells read as a quantity or a date, in whatever spelling.
    """
    if not len(column.cells):
        return "has no values: every cell is empty"
    if len(column.cells) == 1 and column.filled == column.rows:
        return "is constant: all cells hold the same value"
    return _identifies(column, measures=measures) or _names_a_code(column)


def _identifies(column: Column, *, measures: bool) -> str | None:  # noqa: PLR0911 - one reason each
    said = words(column.name)
    different = len(column.cells)
    unique = different >= max(_FEWEST, _NEARLY_ALL * min(column.filled, column.customers))
    text = column.text
    if _PERSONS & set(said) and different > MOST_VALUES and not _mostly_numbers(column):
        return "names a person or says where one lives: personal data, of which no feature is made"
    if _counts_rows(column) and not is_code(column):
        return "numbers the rows: it says when a row was written, and nothing about the applicant"
    if not unique:
        return None
    numbered = bool(_NUMBERS & set(said)) and bool(_NUMBERED & set(said))
    if (_IDENTIFIERS & set(said) or numbered) and bool(text.str.contains(r"^\S+$").all()):
        return "identifies: nearly every customer has a value of their own, and its name says so"
    if _is_number_plate(column):
        return (
            "looks like a phone number or another identifier: nearly all cells are different runs of as many digits"
            + _perhaps_an_instant(text)
        )
    if _share_of(column, _WEB) >= _NEARLY_ALL:
        return "identifies: nearly every customer has an address on the web of their own"
    if measures or is_code(column) or column.cells.dtype.is_numeric() or column.cells.dtype.is_temporal():
        return None
    if _share_of(column, r"^\S*[0-9]\S*$") >= _NEARLY_ALL and _one_form(text):
        return "looks like an identifier: nearly every customer has a value of their own, all of one form"
    return None


def _names_a_code(column: Column) -> str | None:
    if len(column.cells) <= MOST_VALUES or not is_code(column):
        return None
    where = bool(_PLACES & set(words(column.name)))
    more = " (where people live also stands for origin in many places)" if where else ""
    return (
        f"is a code: its digits name something and measure nothing{more}, and {len(column.cells):,} are too many values"
    )


def _mostly_numbers(column: Column) -> bool:
    return _share_of(column, r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$") >= _NEARLY_ALL


def _share_of(column: Column, pattern: str) -> float:
    return column.share(column.text.str.contains(pattern))


def _counts_rows(column: Column) -> bool:
    """Tell whether the cells are whole numbers without a gap, each in one row, as an index is."""
    if len(column.cells) != column.rows or column.rows < _FEWEST or not bool(column.text.str.contains(_WHOLE).all()):
        return False
    numbers = column.text.cast(pl.Float64, strict=False)
    span = float(numbers.max()) - float(numbers.min())  # type: ignore[arg-type]
    return span + 1 == column.rows


def _is_number_plate(column: Column) -> bool:
    """Tell whether nearly all cells are different runs of equally many digits, as phone numbers are."""
    digits = column.text.filter(column.text.str.contains(_LONG_DIGITS))
    if len(digits) < max(_FEWEST, _NEARLY_ALL * len(column.text)):
        return False
    commonest = int(digits.str.len_bytes().value_counts()["count"].max())  # type: ignore[arg-type]
    return commonest >= _NEARLY_ALL * len(digits)


def _perhaps_an_instant(text: pl.Series) -> str:
    """Say how to declare digits that may count the milliseconds or seconds since 1970."""
    numbers = text.cast(pl.Float64, strict=False).drop_nulls()
    for form, (low, high) in _INSTANTS.items():
        if len(numbers) and bool(numbers.is_between(low, high).all()):
            return f'. If they count time since 1970, write kind = "date" and format = "{form}" instead of its range'
    return ""


def _one_form(text: pl.Series) -> bool:
    """Tell whether nearly all texts are equally long, or alike once digits and letters are: AB-1234 and XYZ-07."""
    if int(text.str.len_chars().value_counts()["count"].max()) >= _NEARLY_ALL * len(text):  # type: ignore[arg-type]
        return True
    forms = text.head(10_000).map_elements(lambda cell: re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "0", cell)), pl.String)
    return int(forms.value_counts()["count"].max()) >= _NEARLY_ALL * len(forms)  # type: ignore[arg-type]


def foreign_months(column: Column) -> str | None:
    """Say that cells are dates whose months have names in another language than English; None where they are not."""
    named = column.text.str.extract(_NAMED_DATE, 1)
    if _share_of(column, _NAMED_DATE) < _NEARLY_ALL:
        return None
    months = {word for name in named.drop_nulls().unique() for word in words(name.lower())}
    if not _FEWEST_MONTHS <= len(months) <= _MOST_MONTHS or not {month[:3] for month in months} <= _MONTHS:
        return None
    return (
        "holds dates whose months are named in another language than English, which no kind reads: write the month as "
        "a number where the file is made (2026-03), and draft again"
    )


def text_reason(column: Column) -> str:
    """Say why texts of many kinds are no category."""
    spaces = float((column.text.str.count_matches(r"\s+") + 1).mean() or 1.0)  # type: ignore[arg-type]
    most = column.counts.max() / max(column.filled, 1)
    if len(column.cells) >= column.filled / 2 and spaces >= _FEW_WORDS - 1:
        return f"is free text: about {spaces:.0f} words a cell, {len(column.cells):,} different cells"
    return (
        f"has {len(column.cells):,} different values, more than {MOST_VALUES}; the commonest is in {most:.1%} of the "
        "cells. Group them into few where the file is made, or list those that matter"
    )

"""Recognise in which form the dates of a column are written, from all its distinct texts.

What may be read in two orders is said to be ambiguous, and counts of days are never taken for dates.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import polars as pl

from features.cells.date_forms import ISO, DateForm, date_form, example_of, iso_day

__all__ = ["date_advice"]

_DATES = (
    *("%d.%m.%Y", "%m.%d.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d.%m.%y", "%m.%d.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%y/%m/%d"),
    *("%d%b%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d%b%y", "%Y-%b-%d"),
    *("%b-%Y", "%b-%y", "%b %Y", "%B %Y", "%B-%Y", "%b/%Y", "%m/%Y", "%m.%Y", "%m-%Y", "%Y-%m", "%Y/%m", "%b%Y"),
)
_CLOCKS = ("", *(f"{between}{clock}" for between in (" ", "T", ":", ", ") for clock in ("%H:%M", "%H:%M:%S")))
_CLOCKS += (" %H:%M:%S.%f", "T%H:%M:%S.%f", ":%H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DIGITS_ALONE = ("%Y%m%d",)
_LIKELY_YEARS = range(1900, 2101)
_FEWEST_DIGITS_ALONE = 10
_PIVOT = 50  # any: what is looked for is the form
_LOOKED_AT_FIRST = 40
_MOSTLY, _RARELY = 0.95, 0.01
_SPECIAL = (
    *("0001-01-01", "1000-01-01", "1111-11-11", "1582-10-14", "1582-10-15", "1600-01-01", "1700-01-01"),
    *("1753-01-01", "1800-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1901-01-01", "1960-01-01", "1970-01-01"),
    *("2078-12-31", "2079-06-06", "2099-12-31", "2100-01-01", "2199-12-31", "2200-01-01", "2999-12-31", "9999-12-31"),
    "9999-01-01",
)
_AT_A_CLOCK = r"[ T:,]+[0-9]{1,2}:[0-9]{2}[^\n]*$"
_NEAR_DAYS = 365
_MASS = 10


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """All texts can be read in each of these forms, with other meanings: a person must say which."""

    formats: tuple[str, ...]


def recognise_dates(texts: Collection[str]) -> str | Ambiguous | None:
    """Return the form of (nearly) all texts, as a spec's `format` takes it; None where they are no dates.

    `texts` are distinct cells. A form fits if no text contradicts it, or so few that they are dirt. Two-digit years
    are recognised (a form with %y), and need a `pivot` in the spec. Counts of days are not: they look like numbers.

    >>> recognise_dates(["03/04/2026", "25/12/2025"]), recognise_dates(["03/04/2026", "05/06/2026"])
    ('%d/%m/%Y', Ambiguous(formats=('%d/%m/%Y', '%m/%d/%Y')))
    """
    cells = [text for text in map(str.strip, texts) if text]
    if not cells:
        return None
    few = list(islice(cells, _LOOKED_AT_FIRST))
    if _share(few, iso_day) >= 0.5 and _share(cells, iso_day) >= _MOSTLY:
        return ISO
    cells = [cell for cell in cells if iso_day(cell) is None] or cells  # those are read beside every form
    few = cells[:_LOOKED_AT_FIRST]
    candidates = list(_candidates(few))
    if not candidates:
        return None
    return _chosen(cells, [form for form in candidates if _shaped(cells, form) >= _MOSTLY])


def may_be_dates(texts: pl.Series) -> bool:
    """Tell from a few cells whether it is worth looking at all."""
    few = [text.strip() for text in texts.head(_LOOKED_AT_FIRST).to_list() if text and text.strip()]
    return bool(few) and (_share(few, iso_day) >= 0.5 or next(_candidates(few), None) is not None)


def one_of_each_day(texts: pl.Series) -> list[str]:
    """Return one cell of each day that texts say, without regard to the time of day: they tell as much as all."""
    cells = texts.drop_nulls().rename("cell").to_frame().with_columns(day=pl.col("cell").str.replace(_AT_A_CLOCK, ""))
    return cells.unique("day", keep="first", maintain_order=True)["cell"].to_list()


def _share(cells: Collection[str], read: Callable[[str], int | None]) -> float:
    return sum(read(cell) is not None for cell in cells) / len(cells)


def _candidates(few: list[str]) -> Iterator[DateForm]:
    for text in (day + clock for day in _DATES for clock in (_CLOCKS if "%d" in day else ("",))):
        form = date_form(text, _PIVOT)
        if any(map(form.has_shape, few[:: _LOOKED_AT_FIRST // 5])) and _shaped(few, form) >= 0.5:
            yield form


def _shaped(cells: list[str], form: DateForm) -> float:
    return sum(form.has_shape(cell) for cell in cells) / len(cells)


def _chosen(cells: list[str], fits: list[DateForm]) -> str | Ambiguous | None:
    failures = {form.text: sum(form.has_shape(c) and form.read(c) is None for c in cells) for form in fits}
    usable = [form for form in fits if failures[form.text] <= _RARELY * len(cells) and _is_likely(cells, form)]
    least = min((failures[form.text] for form in usable), default=0)
    best = [form for form in usable if failures[form.text] == least]
    if not best:
        return None
    # Another order that nearly holds is no less likely than dirt in this one, unless this one has none.
    near = best if least == 0 else usable
    meanings = {form.text: tuple(form.read(cell) for cell in cells) for form in near}
    different = dict.fromkeys(meanings.values())
    if len(different) > 1:
        return Ambiguous(tuple(form.text for form in near))
    return near[0].text


def _is_likely(cells: list[str], form: DateForm) -> bool:
    """Tell whether digits alone are dates and not numbers: many, and all of years that dates have."""
    if form.text not in _DIGITS_ALONE:
        return True
    return len(cells) >= _FEWEST_DIGITS_ALONE and all(
        int(cell[:4]) in _LIKELY_YEARS for cell in cells if cell.isdigit()
    )


def special_dates(counts: Mapping[str, int], text: str) -> dict[str, int]:
    """Return the cells that stand for "no date" (1900-01-01, 9999-12-31, ...) and how often each occurs.

    `counts`: how often each cell occurs; `text`: their form. A special date counts as one where it stands alone: ten
    times as often as all other dates within a year of it together.
    """
    form = date_form(text, _PIVOT)
    days = {cell: found[0] for cell in counts if (found := form.read(cell.strip())) is not None}
    special = {iso_day(date) for date in _SPECIAL}
    kept = {}
    for cell, day in days.items():
        near = sum(counts[c] for c, d in days.items() if 0 < abs(d - day) <= _NEAR_DAYS) if day in special else 0
        if day in special and counts[cell] > _MASS * near:
            kept[cell] = counts[cell]
    return kept


def date_advice(texts: pl.Series, column: str, key: str) -> str | None:
    """Say how the instants of a column are written, and the line of the spec to add; None where that is not known.

    `column`: "as_of"; `key`: "as_of_format". Shows no cell.
    """
    found = recognise_dates(one_of_each_day(texts)) if texts.dtype == pl.String else None
    if found is None or found == ISO:
        return None
    if isinstance(found, Ambiguous):
        lines = " or ".join(f'{key} = "{form}"' for form in found.formats)
        return f"{column} is written in a form of which day and month may be either way round. Add {lines} to the spec."
    form = date_form(found, _PIVOT)
    if form.two_digit_years:
        return f"{column} has years of two digits ({found}). Write all four where the file is made."
    zone = ' and time_zone = "UTC" (or its offset, "+01:00")' if form.has_time and not form.has_zone else ""
    return f'{column} is written as {example_of(form)}. Add {key} = "{found}"{zone} to the spec.'

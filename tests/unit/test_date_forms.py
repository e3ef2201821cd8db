"""Forms of dates: each means what it says, none is guessed, and day and month are never the wrong way round."""

import re
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cells.date_forms import WORDS, date_form, iso_day
from features.cells.recognise import Ambiguous, date_advice, recognise_dates, special_dates
from features.errors import SpecError
from tests.conftest import PROJECT

EPOCH = date(1970, 1, 1)
SPEC_PAGE = (PROJECT / "docs/spec.md").read_text()
DAYS = (
    *("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%Y%m%d", "%d%b%Y", "%d-%b-%Y", "%B %d, %Y", "%d.%m.%y"),
    *("%d%b%Y:%H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M:%S.%f", "iso"),
)
MONTHS = ("%b-%Y", "%m/%Y", "%Y-%m", "%B %Y", "%b-%y")
COUNTS = tuple(word for word in WORDS if word != "iso")
SOME_DAYS = st.dates(date(1960, 1, 1), date(2049, 12, 31))


def number(day: date) -> int:
    return (day - EPOCH).days


MEANINGS = [
    ("%b-%Y", "Dec-1999", date(1999, 12, 1)),
    ("%b-%Y", "DEC-1999", date(1999, 12, 1)),
    ("%m/%Y", "12/1999", date(1999, 12, 1)),
    ("%m/%d/%Y", "8/16/1984", date(1984, 8, 16)),
    ("%d/%m/%Y", "16/8/1984", date(1984, 8, 16)),
    ("%d.%m.%Y", "16.08.1984", date(1984, 8, 16)),
    ("iso", "2026-01-31", date(2026, 1, 31)),
    ("iso", "1984-03-25 00:00:00.000000", date(1984, 3, 25)),
    ("iso", "1984-03-25T23:30:00+02:00", date(1984, 3, 25)),
    ("%Y%m%d", "20260131", date(2026, 1, 31)),
    ("%d%b%Y", "01JAN2020", date(2020, 1, 1)),
    ("%d%b%Y:%H:%M:%S", "01JAN2020:23:59:59", date(2020, 1, 1)),
    ("%m/%d/%Y %I:%M %p", "8/16/1984 12:30 AM", date(1984, 8, 16)),
    ("epoch_days", "19723", date(2024, 1, 1)),
    ("epoch_seconds", "1704067200", date(2024, 1, 1)),
    ("epoch_milliseconds", "1704067200000.0", date(2024, 1, 1)),
    ("sas_days", "23376", date(2024, 1, 1)),
    ("sas_seconds", "2019686400", date(2024, 1, 1)),
    ("excel_days", "45292", date(2024, 1, 1)),
    ("excel_days", "45292.75", date(2024, 1, 1)),
    ("excel_days", "59", date(1900, 2, 28)),
    ("excel_days", "61", date(1900, 3, 1)),
]


@pytest.mark.parametrize(("form", "text", "day"), MEANINGS)
def test_a_text_means_the_day_that_it_says(form: str, text: str, day: date) -> None:
    found = date_form(form).read(text)
    assert found is not None
    assert found[0] == number(day)


def test_the_examples_of_the_documentation_are_read_as_it_says() -> None:
    table = re.findall(r"^\| `(\S[^`]*)`.*? \| `([^`]+)` \| (\d{4}-\d\d-\d\d) \|$", SPEC_PAGE, flags=re.MULTILINE)
    assert len(table) == 15
    for form, text, day in table:
        found = date_form(form).read(text)
        assert found is not None, form
        assert found[0] == number(date.fromisoformat(day)), form


NO_DATES = [
    *(("%d.%m.%Y", text) for text in ("31.02.2020", "00.00.0000", "1.13.2020", "16.08.84", "16/08/1984", "٣.٣.2020")),
    *(("%m/%d/%Y", text) for text in ("16/8/1984", "8/16/1984 10:00", "8/16/19840", " 8/16/1984", "8/16/1984\n")),
    *(("%Y%m%d", text) for text in ("20261301", "2026131", "202601310")),
    *(("%m/%d/%Y %I:%M %p", text) for text in ("8/16/1984 13:30 PM", "8/16/1984 0:30 AM", "8/16/1984 12:60 AM")),
    *(("%d.%m.%Y %H:%M", text) for text in ("1.1.2020 24:00", "1.1.2020 10:60")),
    *(("excel_days", text) for text in ("60", "0", "-5", "1e5", "45292,5")),
    *(("epoch_days", text) for text in ("1.5", "NaN", "0x10")),
    *(("iso", text) for text in ("2026-02-30", "2026-1-31", "31.01.2026", "2026-01-31 25:00")),
]


@pytest.mark.parametrize(("form", "text"), NO_DATES)
def test_a_text_of_another_form_or_a_day_that_never_was_has_no_meaning(form: str, text: str) -> None:
    assert date_form(form).read(text) is None


@pytest.mark.parametrize("form", [*DAYS, *MONTHS, *COUNTS])
@given(day=SOME_DAYS)
def test_every_form_says_and_reads_the_same_day(form: str, day: date) -> None:
    found = date_form(form, 60)
    meant = day.replace(day=1) if form in MONTHS else day
    read = found.read(found.write(number(meant)))
    assert read is not None
    assert read[0] == number(meant)


@pytest.mark.parametrize(
    "form",
    ["", "%d", "%d.%m", "%d.%Y", "%Y-%d-%m", "%q", "%d.%m.%Y %H", "%d.%m.%Y %I:%M", "%Y %Y", "%b-%Y %H:%M", "excel"],
)
def test_what_is_no_form_is_refused(form: str) -> None:
    with pytest.raises(SpecError, match="expected a form of dates such as"):
        date_form(form)


def test_two_digit_years_need_a_pivot() -> None:
    with pytest.raises(SpecError, match=r"has years of two digits\. Declare which century"):
        date_form("%d.%m.%y")
    form = date_form("%d.%m.%y", 30)
    assert [form.read(f"01.01.{year}") for year in ("29", "30")] == [
        (number(date(2029, 1, 1)), (0, None)),
        (number(date(1930, 1, 1)), (0, None)),
    ]


@pytest.mark.parametrize("form", [form for form in (*DAYS, *MONTHS) if form not in ("%d.%m.%y", "%b-%y")])
@given(first=SOME_DAYS)
@settings(max_examples=5)
def test_every_form_is_recognised(form: str, first: date) -> None:
    step = 31 if form in MONTHS else 1
    days = [number(first) + step * i for i in range(40)]  # every day of a month is among them
    texts = {date_form(form).write(day) for day in days}
    assert recognise_dates(texts) == form
    assert recognise_dates({*texts, "unknown"}) == form, "one cell of dirt"


@given(days=st.lists(SOME_DAYS, min_size=1, max_size=30))
def test_an_order_is_never_taken_that_another_contradicts(days: list[date]) -> None:
    texts = [f"{day.month}/{day.day}/{day.year}" for day in days]
    found = recognise_dates(texts)
    if any(day.day > 12 for day in days):
        assert found == "%m/%d/%Y"
    elif any(day.day != day.month for day in days):
        assert found == Ambiguous(("%d/%m/%Y", "%m/%d/%Y"))
    else:
        assert found in ("%d/%m/%Y", "%m/%d/%Y"), "both say the same days"


@given(st.lists(st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str)), max_size=30))
def test_what_is_no_date_is_not_taken_for_one(texts: list[str]) -> None:
    found = recognise_dates(texts)
    if isinstance(found, str):
        assert any(date_form(found, 50).read(text.strip()) is not None for text in texts)


def test_counts_are_numbers_until_they_are_declared() -> None:
    assert recognise_dates([str(40_000 + i) for i in range(100)]) is None
    assert recognise_dates([str(19_000_000 + 37 * i) for i in range(100)]) is None
    assert recognise_dates([f"2026{month:02}15" for month in range(1, 13)]) == "%Y%m%d"


def test_special_dates_are_those_that_stand_alone() -> None:
    common = {(date(1969, 6, 1) + timedelta(days=5 * i)).strftime("%d.%m.%Y"): 3 for i in range(200)}
    counts = {**common, "01.01.1900": 40, "31.12.9999": 5, "01.01.1970": 4}
    assert special_dates(counts, "%d.%m.%Y") == {"01.01.1900": 40, "31.12.9999": 5}
    assert special_dates({**counts, "01.01.1970": 9_000}, "%d.%m.%Y")["01.01.1970"] == 9_000
    assert iso_day("0001-01-01") is not None


def test_the_line_to_add_is_said() -> None:
    assert date_advice(pl.Series(["31.12.2025", "01.02.2026"]), "as_of", "as_of_format") == (
        'as_of is written as 31.12.2026. Add as_of_format = "%d.%m.%Y" to the spec.'
    )
    assert 'time_zone = "UTC"' in (date_advice(pl.Series(["31.12.2025 10:00"]), "as_of", "as_of_format") or "")
    assert date_advice(pl.Series(["2026-01-31"]), "as_of", "as_of_format") is None
    advice = date_advice(pl.Series(["03/04/2026"]), "occurred_at", "occurred_at_format")
    assert advice is not None
    assert 'Add occurred_at_format = "%d/%m/%Y" or occurred_at_format = "%m/%d/%Y"' in advice

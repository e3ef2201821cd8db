"""What strangers' files hold that a draft once lost, misread, or left without a word."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from batch.joining import look_at_ids
from features.cells import Reader, kind_of
from features.cells.decimal_advice import decimal_advice
from features.draft import Tables, draft_spec
from features.draft.draft_reasons import draft_reasons
from features.errors import InputError, SpecError
from features.matrix import build_features
from features.protected import protected
from features.spec.contract import Spec
from features.spec.file import parse_spec
from tests.process.test_draft_columns import NO_EVENTS, RANDOM, ROWS, apart, attribute, drafted
from training.account import refuse_empty_columns
from training.data import TrainingData

MONTHS = ["Jan", "Feb", "Mrz", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"]


@pytest.mark.parametrize(
    ("cells", "kind", "unit", "numbers"),
    [
        (["12 Monate", "24 Monate", "1 Jahr", "2 Jahre und 3 Monate"], "duration", "months", [12, 24, 12, 27]),
        (["< 1 Jahr", "3 Jahre", "10 Jahre"], "duration", "years", [0, 3, 10]),
        (["6 mois", "1 an", "2 ans"], "duration", "months", [6, 12, 24]),
        (["1 a\u00f1o", "7 a\u00f1os"], "duration", "years", [1, 7]),
        (["30 days", "1 day", "45 days"], "integer", "", [30, 1, 45]),
        (["1.200,50 z\u0142", "950,00 z\u0142", "12,10 z\u0142"], "number", "", [1200.5, 950, 12.1]),
        (["USD 1,200.50", "USD 77", "USD 60,000"], "number", "", [1200.5, 77, 60000]),
        (["CHF 1'200.50", "CHF 77.10", "CHF 3.05"], "number", "", [1200.5, 77.1, 3.05]),
        (["ja", "nein"], "boolean", "", [1, 0]),
        (["S\u00ed", "No"], "boolean", "", [1, 0]),
        (["J", "N"], "boolean", "", [1, 0]),
    ],
)
def test_words_beside_values_are_read(cells: list[str], kind: str, unit: str, numbers: list[float]) -> None:
    found = attribute(cells * 20)
    assert (found.kind, found.unit) == (kind, unit)
    assert read(cells * 20) == pytest.approx(numbers * 20)


def read(cells: list[Any]) -> list[float]:
    """What the drafted spec makes of a column."""
    table = pl.DataFrame({"application_id": [f"a{i}" for i in range(len(cells))]})
    table = table.with_columns(customer_id="application_id", as_of=pl.lit("2026-01-01"), measure=pl.Series(cells))
    spec = parse_spec(draft_spec(Tables.of(table)).text)
    features = build_features(table, NO_EVENTS, spec)
    assert features.rejects.is_empty()
    numbers: list[float] = features.matrix[:, 0].tolist()
    return numbers


@pytest.mark.parametrize(
    ("kind", "cells", "numbers"),
    [
        ("duration", "{} Monate", range(1, 900)),
        ("duration", "{} a\u00f1os", range(12, 10_800, 12)),
        ("number", "EUR {}.50", [n + 0.5 for n in range(1, 900)]),
        ("money", "{} EUR", range(1, 900)),
        ("percent", "{},00 %", range(1, 900)),
    ],
)
def test_many_different_cells_are_read_as_one_by_one(kind: str, cells: str, numbers: Any) -> None:
    made = [cells.format(n) for n in range(1, 900)]
    keys = 'decimal = ","\n' if "," in cells else ""
    spec = parse_spec(SENTENCES.split("attributes.opened", maxsplit=1)[0] + f'[attributes.x]\nkind = "{kind}"\n{keys}')
    reader = Reader([kind_of(spec.attributes[0]).reading(spec.attributes[0], pl.String())])
    table = pl.DataFrame({"x": [*made, *[f"{a}{n}{b}" for n in range(300) for a, b in (("x", "y"), ("#A", ""))]]})
    bulk, (single, why) = reader.read(table)["x"], reader.read_texts("x", table["x"].to_list())
    assert bulk.values.to_list() == single
    assert {i: cause for i, cause in enumerate(bulk.causes) if cause} == why
    scale = 100 if kind == "money" else 1
    assert single[:899] == [scale * n for n in numbers]


@pytest.mark.parametrize("cells", [["3 days", "2 weeks", "5 days"], ["A11", "A12", "A43"], ["class 1", "class 2"]])
def test_two_words_and_codes_are_no_numbers(cells: list[str]) -> None:
    assert attribute(cells * 20).kind == "category"


def test_ranges_of_other_spellings_are_ordered() -> None:
    for cells in (
        ["< 1 Jahr", "1-3 Jahre", "3-5 Jahre", "> 5 Jahre"],
        ["<0", "0<=X<200", ">=200"],
        ["unter 1.000", "1.000 bis 2.500", "\u00fcber 2.500"],
        ["less than 500", "$500 - $1,000", "more than $1,000"],
    ):
        found = attribute(cells * 20)
        assert (found.kind, found.ordered, found.values) == ("category", True, tuple(cells))
    (look,) = drafted(["unemployed", "<1", "1<=X<4", ">=7"] * 20).looks
    assert "most of its values are ranges" in look
    assert "ordered = true" in look


def test_a_code_among_real_values_is_said_and_kept() -> None:
    inside = np.concatenate([RANDOM.integers(0, 140, 2000), np.full(400, 99)])
    zero = np.concatenate([RANDOM.integers(450, 750, ROWS), np.zeros(40)])
    answers = RANDOM.choice([0, 1, 9], ROWS)
    cap = np.concatenate([RANDOM.lognormal(4, 0.4, ROWS).round(1), np.full(9, 700.0)])
    for cells, code in ((inside, "99"), (zero, "0"), (answers, "9"), (cap, "700")):
        bad = RANDOM.random(len(cells)) < 0.2
        one = drafted(cells, bad=bad)
        (look,) = [look for look in one.looks if "may be a special code and is kept" in look]
        assert look.startswith(f"{code}: {np.count_nonzero(cells == float(code.replace(',', ''))):,} cells, ")
        assert "`bad` against" in look
        assert "missing_tokens" in look
        assert not any(line.startswith("missing_tokens") for line in one.lines)


@pytest.mark.parametrize(
    "cells",
    [
        RANDOM.integers(0, 140, ROWS),
        RANDOM.poisson(3, ROWS),
        RANDOM.lognormal(9, 1, ROWS).round(2),
        RANDOM.normal(0, 10, ROWS).round(2),
        np.concatenate([np.zeros(ROWS), RANDOM.lognormal(6, 1, 60).round(2)]),
        RANDOM.integers(1, 5, ROWS),
    ],
)
def test_ordinary_numbers_are_in_no_doubt(cells: np.ndarray[Any, Any]) -> None:
    assert not [look for look in drafted(cells).looks if "special code" in look]


def test_many_different_values_beyond_a_gap_are_a_tail_and_kept() -> None:
    bulk = RANDOM.random(4000).round(3)
    assert apart(bulk, RANDOM.integers(600, 50_000, 30)) == ((), ())
    assert apart(bulk, [50_000.5]) == ((), (50_000.5,))


def test_the_lowest_of_ordinary_values_is_no_code_for_its_digits() -> None:
    assert apart([99] * 4, RANDOM.integers(101, 300, ROWS)) == ((), ())
    assert apart([77] * 20, [1200.5] * 20, [60_000] * 20) == ((), ())


def test_counts_of_days_are_said_by_the_name_and_never_guessed() -> None:
    days = RANDOM.integers(12_000, 21_000, ROWS)
    for name in ("OPENDT", "last_date"):
        one = drafted(days, name)
        assert 'kind = "integer"' in one.lines[1]
        assert "sas_days, epoch_days or excel_days" in " ".join(one.looks)
    assert not drafted(days, "income").looks


def test_months_of_other_languages_are_said() -> None:
    one = drafted([f"{MONTHS[i % 12]}-{1990 + i % 30}" for i in range(360)])
    assert one.reason.startswith("holds dates whose months are named in another language than English")
    assert attribute([f"{name}-2020" for name in ("Jan", "Feb", "Mar", "Apr")] * 20).kind == "date"
    assert attribute(["car-2020", "van-2021"] * 20).kind == "category"


def test_none_is_a_value_among_words_and_missing_among_numbers() -> None:
    assert attribute(["none", "guarantor", "co-applicant"] * 20).values == ("co-applicant", "guarantor", "none")
    assert attribute(["none", "12", "13.5", "14"] * 20).missing_tokens == ("none",)
    assert attribute(["k.A.", "12", "13.5", "keine Angabe"] * 20).missing_tokens == ("k.A.", "keine Angabe")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("acc_age", None),
        ("avg_card_age", None),
        ("old", "age"),
        ("over65", "age"),
        ("cold", None),
        ("holder_age", "age"),
    ],
)
def test_the_age_of_things_is_no_protected_attribute(name: str, what: str | None) -> None:
    assert protected(name) == what


SENTENCES = """spec_version = 2
name = "x"
classes = ["bad", "good"]
currency = { code = "EUR", minor_digits = 2 }
score = { base_score = 600, base_odds = 2, points_to_double_odds = 50 }
policy.costs = { bad = { bad = 0, good = 1 }, good = { bad = 1, good = 0 } }
attributes.opened = { kind = "date" }
attributes.selfemp = { kind = "boolean" }
attributes.job_years = { kind = "duration" }
attributes.lateAmount = { kind = "number" }
attributes.home = { kind = "category", values = ["own", "rent"] }
[events]
kinds = ["late_fee"]
[rfm."events late_fee"]
kinds = ["late_fee"]
windows_days = [30]
recency = true
frequency = true
monetary = ["sum"]
"""


def test_drafted_letters_are_sentences_whatever_a_column_is_called() -> None:
    text = "\n".join(draft_reasons(parse_spec(SENTENCES)))
    for said in (
        "The date for \u201copened\u201d lies far back compared with well rated applicants.",
        "The answer to \u201cselfemp\u201d counted against you.",
        "The time for \u201cjob years\u201d is short compared with well rated applicants.",
        "The value for \u201clate amount\u201d is high compared with well rated applicants.",
        "What was stated for \u201chome\u201d counted against you.",
        "Movements of the kind \u201clate fee\u201d were frequent on your account compared with well rated applicants.",
    ):
        assert said in text
    assert "too high" not in text


def with_numbers(cells: list[str], decimal: str) -> tuple[pl.DataFrame, Spec]:
    ids = [f"a{i}" for i in range(len(cells))]
    table = pl.DataFrame({"application_id": ids, "customer_id": ids, "as_of": "2026-01-01", "rate": cells})
    keys = f'[attributes.rate]\nkind = "number"\ndecimal = "{decimal}"\n'
    return table, parse_spec(SENTENCES.split("attributes.opened", maxsplit=1)[0] + keys)


@pytest.mark.parametrize(("decimal", "other"), [(",", "."), (".", ",")])
def test_a_wrongly_declared_decimal_is_said_with_the_line(decimal: str, other: str) -> None:
    cells = [f"{n}{other}25" for n in range(100)]
    table, spec = with_numbers(cells, decimal)
    (said,) = decimal_advice(table, spec, {"rate": 100})
    assert f"0.0% of its cells are numbers with {decimal!r} before the decimals, as the spec says, and 100.0%" in said
    assert f'write decimal = "{other}" in [attributes."rate"]' in said
    classes = pl.DataFrame({"application_id": table["application_id"], "credit_class": ["bad", "good"] * 50})
    data = TrainingData(applications=table, events=NO_EVENTS, labels=classes)
    with pytest.raises(InputError, match=f'has no usable cell .*write decimal = "{other}"'):
        refuse_empty_columns(data, build_features(table, NO_EVENTS, spec), spec)
    table, spec = with_numbers(cells, other)
    assert not list(decimal_advice(table, spec, {"rate": 100})), "rightly declared"


def test_ids_that_pandas_wrote_are_said_when_a_spec_is_drafted() -> None:
    applications = pl.DataFrame({"customer_id": [f"{n}.0" for n in range(100, 200)]})
    events = pl.DataFrame({"customer_id": [str(n) for n in range(100, 160)]})
    said = look_at_ids(applications, events)
    assert said.startswith("0 of 100 customers have an event. ")
    assert "Without a suffix .0, 60% of the customers without an event would have some" in said
    assert not look_at_ids(events, events)
    assert not look_at_ids(pl.concat([events, pl.DataFrame({"customer_id": ["new"]})]), events)


def test_a_heavy_tail_may_leap_and_a_light_one_may_reach_a_little_further() -> None:
    heavy = [3.5**power for power in range(12)]
    assert apart([0.0] * 900, heavy, [heavy[-1] * 25 + 0.5]) == ((), ())
    light = np.random.default_rng(3).normal(100, 1, ROWS).round(3)
    assert apart(light, [light.max() + 35.0625]) == ((), ())


ROUND_THOUSANDS = ["12.400", "800", "1.300", "300", "7.000"]


def test_points_that_may_part_thousands_are_asked_about() -> None:
    draft = drafted(pl.Series("measure", ROUND_THOUSANDS * 30))
    assert not draft.taken
    assert "12.400 is 12,400 with decimal" in draft.reason


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["12.41", "800", "1.3", "0.5"], 12.41),
        (["0.400", "12.400", "1.300"], 0.4),  # a 0 in front parts no thousands
        (["1234.500", "12.400", "1.300"], 1234.5),  # nor are four digits parted
        (["12.401", "8.123", "1.317", "3.141"], 12.401),  # a program's: one in ten round ones would end in 0
        (["12,400", "800", "1,300"], 12400),  # as programs in the United States group them
        (["1.234.567", "997.123", "12.400"], 1234567),  # two points part thousands
        (["0,123", "0,652", "0,480"], 0.123),
    ],
)
def test_numbers_that_leave_no_doubt_are_read(cells: list[str], first: float) -> None:
    assert read(cells * 20)[0] == pytest.approx(first)


def test_amounts_of_events_whose_points_may_part_thousands_are_asked_about() -> None:
    applications = pl.DataFrame(
        {"application_id": ["a"], "customer_id": ["c"], "as_of": ["2026-01-01"], "measure": [1]}
    )
    events = pl.DataFrame({"customer_id": ["c"] * 5, "occurred_at": "2025-12-01", "kind": "buy"})
    draft = draft_spec(Tables.of(applications, events.with_columns(amount=pl.Series(ROUND_THOUSANDS))))
    assert any("part thousands" in look for look in draft.looks)
    fine = draft_spec(Tables.of(applications, events.with_columns(amount=pl.Series(["12.40", "800", "1.3", "3", "7"]))))
    assert not any("thousands" in look for look in fine.looks)


@pytest.mark.parametrize("column", ["approved_date", "current_balance", "paid_amount", "prime_rate"])
def test_another_column_of_the_labels_does_not_say_what_the_classes_mean(column: str) -> None:
    flags = ["1"] * 14 + ["0"] * 86
    applications = pl.DataFrame({"application_id": [f"a{i}" for i in range(100)]}).with_columns(
        customer_id="application_id", as_of=pl.lit("2026-01-01"), measure=pl.int_range(100)
    )
    labels = applications.select("application_id").with_columns(
        pl.Series("credit_class", flags), pl.Series(column, [f"2026-01-{1 + i % 28:02}" for i in range(100)])
    )
    assert 'classes = ["1", "0"]' in draft_spec(Tables.of(applications, labels=labels)).text
    same = labels.with_columns(pl.Series("approved", flags))  # this one is the class itself under another name
    assert 'classes = ["0", "1"]' in draft_spec(Tables.of(applications, labels=same)).text


def test_ids_that_a_spreadsheet_has_cut_are_told_even_where_they_match() -> None:
    ids = pl.DataFrame({"customer_id": [f"{4 + i % 5}.9123{i % 7}E+11" for i in range(100)]})
    assert "their last digits are gone, so different ids are alike" in look_at_ids(ids, ids)
    whole = pl.DataFrame({"customer_id": [f"C{i}E+11" for i in range(100)]})
    assert not look_at_ids(whole, whole)


def test_percents_on_two_scales_are_told() -> None:
    mixed = drafted(pl.Series("measure", ["2.8%", "26.4%", "0.229", "0.177"] * 20))
    assert any("40 cells have no % and lie between 0 and 1" in look for look in mixed.looks)
    for fine in (["2.8%", "26.4%", "22.9"], ["0.8%", "0.4", "0.2"], ["2.8%", "26.4%"]):
        assert not any("have no %" in look for look in drafted(pl.Series("measure", fine * 20)).looks)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["bad", "good", "BAD"], "20 of 'BAD' and 20 of 'bad'"),
        (["Paid, late", "Paid"], "'Paid, late' cannot be a name"),
        (["a" * 100, "b"], "cannot be a name: expected 1 to 99 characters"),
    ],
)
def test_labels_that_cannot_be_classes_are_named(classes: list[str], said: str) -> None:
    labels = pl.DataFrame({"application_id": [f"a{i}" for i in range(20 * len(classes))]})
    applications = labels.with_columns(
        customer_id="application_id", as_of=pl.lit("2026-01-01"), measure=pl.int_range(pl.len())
    )
    with pytest.raises((InputError, SpecError), match=said):
        draft_spec(Tables.of(applications, labels=labels.with_columns(credit_class=pl.Series(classes * 20))))


@pytest.mark.parametrize("cells", [["Mr", "Mrs", "Ms."], ["Herr", "Frau"], ["Mme", "Monsieur"]])
def test_a_form_of_address_stands_for_sex(cells: list[str]) -> None:
    assert protected("title", cells) == "sex"
    assert protected("title", ["Dr", "Prof"]) is None


@pytest.mark.parametrize("iso", [20, 35, 60], ids=["a few ISO", "a third", "most"])
def test_iso_dates_among_dates_of_another_form_are_dates(iso: int) -> None:
    days = [f"{1 + i % 28:02}.{1 + i % 12:02}.{1999 + i % 20}" for i in range(100)]
    cells = [f"{2000 + i % 20}-{1 + i % 12:02}-{1 + i % 28:02}" if i < iso else day for i, day in enumerate(days)]
    found = attribute(cells[::2] + cells[1::2])
    assert (found.kind, dict(found.options)["format"]) == ("date", "%d.%m.%Y")

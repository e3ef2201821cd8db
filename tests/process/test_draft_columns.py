"""What the drafter makes of the columns of strangers: codes, tails, identifiers, protected attributes, kinds."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.draft_speed import measure
from features.draft import Tables, draft_spec
from features.draft.apart import stands_apart
from features.draft.attribute import Drafted, draft_attribute
from features.draft.rates import Outcomes
from features.matrix import build_features
from features.names import readable
from features.protected import protected
from features.spec.contract import Attribute
from features.spec.file import parse_spec
from tests.conftest import real_data

RANDOM = np.random.default_rng(5)
ROWS = 600
NO_EVENTS = pl.DataFrame(schema=dict.fromkeys(("customer_id", "occurred_at", "kind", "amount"), pl.String))


def drafted(cells: Any, name: str = "measure", bad: np.ndarray[Any, Any] | None = None) -> Drafted:
    series = pl.Series(name, cells)
    rows = np.arange(len(series))
    outcomes = None if bad is None else Outcomes(np.where(bad, 0, 1), rows, "`bad`")
    return draft_attribute(series, len(series), outcomes)


def attribute(cells: Any, name: str = "measure") -> Attribute:
    one = drafted(cells, name)
    assert one.taken, one.reason
    table = pl.DataFrame(
        {"application_id": "a", "customer_id": "c", "as_of": "2026-01-01", name: pl.Series(name, cells)}
    )
    (found,) = parse_spec(draft_spec(Tables.of(table)).text).attributes
    return found


def apart(*parts: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values, counts = np.unique(
        np.concatenate([np.atleast_1d(part) for part in parts]).astype(float), return_counts=True
    )
    found = stands_apart(values, counts)
    return found.codes, found.isolated


@pytest.mark.parametrize(
    ("codes", "rest"),
    [
        ((-9, -8, -7), RANDOM.integers(300, 850, ROWS)),
        ((-9, -8, -7), RANDOM.poisson(1, ROWS)),
        ((96, 98), RANDOM.poisson(0.1, ROWS)),
        ((96, 98), np.concatenate([np.zeros(ROWS), [1, 2, 3, 7, 13]])),
        ((365243,), -RANDOM.integers(1, 17000, ROWS)),
        ((999,), RANDOM.integers(300, 850, ROWS)),
        ((9999,), RANDOM.integers(0, 400, ROWS)),
        ((99999,), np.round(RANDOM.lognormal(6, 0.6, ROWS), 2)),
        ((-1,), RANDOM.integers(0, 300, ROWS)),
        ((-999,), RANDOM.normal(0, 10, ROWS).round(2)),
        ((-500,), RANDOM.integers(18, 80, ROWS)),
        ((-100,), RANDOM.integers(0, 9, ROWS)),
    ],
)
def test_repeated_codes_beyond_the_rest_are_found(codes: tuple[float, ...], rest: np.ndarray[Any, Any]) -> None:
    found, isolated = apart(rest, *[np.full(20, code) for code in codes])
    assert found == tuple(sorted(codes))
    assert not isolated


@pytest.mark.parametrize(
    "rest",
    [
        RANDOM.integers(0, 101, ROWS),
        RANDOM.integers(0, 100, ROWS),
        RANDOM.choice([-2, -1, 0, 1, 2, 3, 8], ROWS),
        RANDOM.integers(-1, 8, ROWS),
        np.concatenate([np.zeros(ROWS), [1] * 30, [2] * 9, [3] * 4, [10] * 26]),
        np.concatenate([np.zeros(ROWS), 1 / RANDOM.random(60)]),
        RANDOM.lognormal(9, 1.5, ROWS),
        np.concatenate([np.zeros(ROWS), RANDOM.lognormal(6, 2, 40)]),
        RANDOM.integers(0, 2, ROWS),
        np.concatenate([RANDOM.integers(300, 850, ROWS), [0] * 20]),
    ],
)
def test_a_value_that_belongs_to_the_rest_is_no_code_and_no_tail_is_cut(rest: np.ndarray[Any, Any]) -> None:
    assert apart(rest) == ((), ())


def test_an_isolated_impossible_value_is_cut_and_told_beside_the_rest() -> None:
    cells = [*RANDOM.integers(14, 80, ROWS).tolist(), 8_000_000]
    bad = np.zeros(ROWS + 1, dtype=bool)
    bad[:60], bad[-1] = True, True
    one = drafted(cells, bad=bad)
    (look,) = one.looks
    assert (
        "1 cells stand far apart from the rest (8,000,000) and are cut by the range, 100.0% `bad` against 10.0%" in look
    )
    assert f"# {look}." in one.lines
    found = attribute(cells)
    assert found.maximum is not None
    assert 80 <= found.maximum < 8_000_000


def test_codes_are_tokens_in_every_spelling_with_their_counts_and_class_rates() -> None:
    texts = [str(value) for value in RANDOM.integers(0, 6, ROWS)] + ["98"] * 30 + ["98.0"] * 10
    bad = np.arange(len(texts)) >= ROWS + 20
    one = drafted(texts, bad=bad)
    assert 'missing_tokens = ["98", "98.0"]' in one.lines
    assert one.looks == (
        "98 is taken as a special code, which becomes missing: 40 cells, 50.0% `bad` against 0.0% of the rest",
    )


def test_a_tail_of_counts_that_are_mostly_0_keeps_every_value() -> None:
    counts = [0] * 900 + [1] * 40 + [2] * 12 + [3] * 5 + [5, 8, 13, 21]
    found = attribute(counts)
    assert (found.minimum, found.missing_tokens) == (0, ())
    assert found.maximum is not None
    assert found.maximum >= 21


KINDS = {
    "percent": ["14.90%", "7.04%", "75 %", "24.99%"],
    "number": ["$23,525.90", "$919.07", "$1,234.50", "$60,768.61"],
    "duration": [" 36 months", " 60 months"],
    "boolean": ["0.0", "1.0"],
    "integer": ["1", "22", "305", "4"],
    "category": ["OWN", "RENT", "MORTGAGE"],
    "list": ["card, loan", "loan", "card", "loan, and card", "card, leasing", "leasing"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_recognised(kind: str) -> None:
    assert attribute(KINDS[kind] * 50).kind == kind


def test_years_percent_commas_and_ranges() -> None:
    years = attribute(["10+ years", "< 1 year", "1 year", "3 years", "n/a"] * 20)
    assert (years.kind, years.unit, years.missing_tokens) == ("duration", "years", ("n/a",))
    comma = attribute(["12,5", "3,75", "1.234,56", "0,1"] * 20)
    assert (comma.kind, comma.decimal) == ("number", ",")
    bands = attribute(["735-739", "5001+", "600-604", "< 500", "740-744"] * 20)
    assert (bands.kind, bands.ordered) == ("category", True)
    assert bands.values == ("< 500", "600-604", "735-739", "740-744", "5001+")
    for flag in (["Y", "N"], ["TRUE", "false"], ["1", "0"], ["1.0", "0"]):
        assert attribute(flag * 20).kind == "boolean"
    codes = attribute([1.0, 2.0, 1.0, 2.0])
    assert (codes.kind, codes.values) == ("category", ("1.0", "2.0")) or codes.values == ("1", "2")


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("zip", [f"{n:05d}" for n in range(300, 900)], "is a code"),
        ("naics", list(range(110_000, 110_700)), "is a code"),
        ("branch", list(range(100, 900, 3)), "is a code"),
        ("account_number", list(range(40_000_000, 40_900_000, 997)), "identifies"),
        ("iban", [f"DE{n:020d}" for n in range(100)], "identifies"),
        ("Row", list(range(600)), "numbers the rows"),
        ("token", [f"{n * 7919 % 65536:04x}-{n:03d}" for n in range(500)], "looks like an identifier"),
        ("remark", [f"paid late in month {n} of the year" for n in range(200)], "is free text"),
        ("same", ["x"] * 50, "is constant"),
        ("nothing", [None] * 50, "has no values"),
        ("town", [f"town {n % 90}" for n in range(900)], "has 90 different values"),
        ("last_name", [f"N{n}" for n in range(100)], "names a person"),
    ],
)
def test_what_is_no_attribute_is_left_out_for_its_true_reason(name: str, cells: list[object], reason: str) -> None:
    one = drafted(cells, name)
    assert one.reason.startswith(reason)
    assert bool(one.lines) == (name != "nothing"), "the lines that would take it in"


@pytest.mark.parametrize("name", ["income", "RevolvingUtilization", "balance", "price_2"])
def test_quantities_that_are_all_different_are_no_identifiers(name: str) -> None:
    for cells in (RANDOM.lognormal(9, 1, ROWS).round(2), RANDOM.integers(1_000_000, 90_000_000, ROWS)):
        assert drafted(cells, name).taken


@pytest.mark.parametrize(
    ("name", "what"),
    [
        *[("Personal.Status.and.Sex", "sex"), ("foreign_worker", "nationality"), ("ForeignWorker", "nationality")],
        *[("age", "age"), ("person_age", "age"), ("dateOfBirth", "age"), ("DAYS_BIRTH", "age"), ("Geschlecht", "sex")],
        *[("estado_civil", "marital status"), ("NAME_FAMILY_STATUS", "marital status"), ("married", "marital status")],
        *[
            ("nationalité", "nationality"),
            ("Religion", "religion"),
            ("płeć", "sex"),
            ("SEXCD", "sex"),
            ("MARSTAT", "marital status"),
            ("afam", "race or ethnicity"),
        ],
        *[("OWN_CAR_AGE", None), ("Credit_History_Age", None), ("percentage", None), ("number_of_dependents", None)],
        *[("foreign_transactions", None), ("language_score", "language"), ("average_balance", None), ("stage", None)],
    ],
)
def test_protected_attributes_are_known_by_name(name: str, what: str | None) -> None:
    assert protected(name) == what


def test_a_protected_column_is_drafted_out_with_the_lines_that_take_it_in() -> None:
    table = pl.DataFrame({"application_id": ["a"], "customer_id": "c", "as_of": "2026-01-01", "income": 5.5}).join(
        pl.DataFrame({"age": list(range(20, 70)), "status": ["male", "female"] * 25}), how="cross"
    )
    table = table.with_columns(pl.concat_str(pl.lit("a"), pl.int_range(pl.len())).alias("application_id"))
    draft = draft_spec(Tables.of(table.with_columns(income=pl.int_range(pl.len()) * 1.25)))
    assert [a.name for a in parse_spec(draft.text).attributes] == ["income"]
    assert [look.split(":")[0] for look in draft.looks if "left out" in look] == ["age", "status"]
    taken_in = draft.text.replace('# kind = "integer"', 'kind = "integer"').replace(
        "# range = [0, 610]", "range = [0, 610]"
    )
    lines = [line.removeprefix("# ") if _belongs(line) else line for line in draft.text.splitlines()]
    assert {a.name for a in parse_spec("\n".join(lines)).attributes} == {"income", "age", "status"}
    assert taken_in


def _belongs(line: str) -> bool:
    return line.startswith(
        ("# [", '# kind = "i', '# kind = "c', "# range", "# values", "# of = ", "# high", "# low", "# missing")
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *[("Personal.Status", "personal status"), ("MonthlyIncome", "monthly income"), ("PAY_AMT1", "pay amt1")],
        *[("FICO_Score", "FICO score"), ("numberOfLoans", "number of loans"), ("due-date", "due date")],
    ],
)
def test_names_are_readable_in_letters(name: str, said: str) -> None:
    assert readable(name) == said


def test_the_raw_file_is_drafted_without_losing_a_tail() -> None:
    raw = pl.read_csv(real_data("credit_score_raw_august.csv"), infer_schema=False)
    table = raw.rename({"ID": "application_id", "Customer_ID": "customer_id"}).drop("Credit_Score")
    table = table.with_columns(as_of=pl.lit("2024-08-31"))
    labels = raw.select(application_id="ID", credit_class="Credit_Score")
    draft = draft_spec(Tables.of(table, None, labels))
    spec = parse_spec(draft.text)
    assert {"Age", "Name", "SSN", "Month"} & {a.name for a in spec.attributes} == set()
    assert spec.classes == ("Poor", "Standard", "Good")
    lost = build_features(
        table, pl.DataFrame(schema=dict.fromkeys(("customer_id", "occurred_at", "kind", "amount"), pl.String)), spec
    )
    cut = lost.dirt.filter(pl.col("cause") == "out_of_range")
    assert cut["cells"].sum() <= 20


@pytest.mark.process
def test_the_benchmark_of_drafting_runs_at_a_hundredth() -> None:
    found = measure(1000, 20)
    assert found["columns"] == 20
    assert found["mebibytes"] < 2048

"""Text to money, numbers and months, against Python's own exact arithmetic."""

import math
import re
from dataclasses import replace
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.cells import KINDS, MOST_MINOR_UNITS, PLAIN_ROWS, Reader, Reading, kind_of
from features.spec.contract import Attribute, Currency

EXACT = Context(prec=20_000, Emax=MAX_EMAX, Emin=MIN_EMIN)

EURO = Currency(code="EUR", minor_digits=2)

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def attribute(kind: str, **changes: object) -> Attribute:
    defaults: dict[str, object] = {
        "name": "x",
        "unit": "",
        "description": "",
        "required": False,
        "minimum": None,
        "maximum": None,
        "values": (),
        "ordered": False,
        "missing_tokens": (),
        "strip": "",
        "currency": EURO,
    }
    return Attribute(kind=kind, **{**defaults, **changes})  # type: ignore[arg-type]


def read(cells: list[object] | pl.Series, of: Attribute) -> list[tuple[Any, str | None]]:
    table = pl.DataFrame({"x": cells}) if isinstance(cells, pl.Series) else pl.DataFrame({"x": cells}, strict=False)
    return all_ways(table, kind_of(of).reading(of, table.schema["x"]))


def all_ways(table: pl.DataFrame, reading: Reading) -> list[tuple[Any, str | None]]:
    """What the quick expression takes must be what the definition says, cell by cell, in bulk and in small tables."""
    few, quick, slow = (
        Reader([r]).read(repeated)["x"]
        for r, repeated in (
            (reading, table),
            (reading, pl.concat([table] * (PLAIN_ROWS // table.height + 1))),
            (replace(reading, quick=None, check=None, second=None, whole=None), table),
        )
    )
    for other in (few, quick):
        assert other.values[: table.height].equals(slow.values, check_dtypes=True, null_equal=True)
        assert other.causes[: table.height].equals(slow.causes)
    return list(zip(slow.values.to_list(), slow.causes.to_list(), strict=True))


numbers = st.from_regex(NUMBER, fullmatch=True) | st.decimals(allow_nan=False, allow_infinity=False).map(str)

any_text = (
    st.text(st.characters(codec="utf-8"), max_size=30) | numbers | st.sampled_from(["1e400", "-0", "1_0", "1,5", "٣"])
)


@given(any_text)
def test_money_is_exact_or_refused(text: str) -> None:
    ((value, cause),) = read([text], attribute("money"))
    bare = text.strip()
    if not NUMBER.fullmatch(bare):
        assert value is None
        assert cause in ("unreadable", "missing", "not_finite")
        return
    minor = EXACT.multiply(Decimal(bare), Decimal(100))
    if value is None:
        assert cause in ("too_many_decimals", "out_of_range")
        assert minor != minor.to_integral_value(context=EXACT) or abs(minor) > MOST_MINOR_UNITS
    else:
        assert Decimal(int(str(value))) == minor


@given(any_text)
def test_a_number_is_what_python_reads_or_refused(text: str) -> None:
    ((value, cause),) = read([text], attribute("number"))
    if value is None:
        assert cause in ("unreadable", "missing", "not_finite")
        assert not NUMBER.fullmatch(text.strip()) or abs(float(text)) > 3.4028234663852886e38
    else:
        assert value == float(text)


@given(st.integers(-MOST_MINOR_UNITS, MOST_MINOR_UNITS))
def test_money_is_the_same_from_text_float_decimal_and_exponent_form(minor: int) -> None:
    exact = Decimal(minor).scaleb(-2)
    money = attribute("money")
    assert read([str(exact)], money) == [(minor, None)]
    assert read([f"{exact:E}"], money) == [(minor, None)]
    assert read(pl.Series([exact], dtype=pl.Decimal(18, 2)), money) == [(minor, None)]
    assert read(pl.Series([exact], dtype=pl.Decimal(20, 4)), money) == [(minor, None)]
    if repr(float(exact)) == str(exact):
        assert read(pl.Series([float(exact)]), money) == [(minor, None)]
    if minor % 100 == 0:
        assert read(pl.Series([minor // 100]), money) == [(minor, None)]


@pytest.mark.parametrize(
    ("kind", "cell", "value", "cause"),
    [
        ("money", "1.00E+05", 10_000_000, None),
        ("money", "34847.84_", 3_484_784, None),
        ("money", "1.005", None, "too_many_decimals"),
        ("money", "1.00500", None, "too_many_decimals"),
        ("money", "1.500", 150, None),
        ("money", "1e400", None, "out_of_range"),
        ("money", "0e400", 0, None),
        ("money", "100000000000.01", None, "out_of_range"),
        ("money", "1,234.50", None, "unreadable"),
        ("money", "€5", None, "unreadable"),
        ("number", "NaN", None, "not_finite"),
        ("number", "-inf", None, "not_finite"),
        ("number", "1e39", None, "not_finite"),
        ("number", "0x10", None, "unreadable"),
        ("number", "١٢", None, "unreadable"),
        ("number", "  5\t", 5.0, None),
        ("integer", "28_", 28.0, None),
        ("integer", "__-5__", -5.0, None),
        ("integer", "2.5", None, "not_a_whole_number"),
        ("integer", "2.0", 2.0, None),
        ("integer", "9007199254740993", 9007199254740992.0, None),
        ("integer", "1e17", None, "not_a_whole_number"),
        ("duration", "22 Years and 1 Months", 265.0, None),
        ("duration", "1 Year", 12.0, None),
        ("duration", "7 Months", 7.0, None),
        ("duration", "265", 265.0, None),
        ("duration", "2 Years and", None, "unreadable"),
        ("duration", "NA", None, "unreadable"),
    ],
)
def test_cells_of_real_files(kind: str, cell: str, value: float | None, cause: str | None) -> None:
    assert read([cell], attribute(kind, strip="_")) == [(value, cause)]


@given(any_text)
def test_a_number_that_is_a_missing_token_is_missing_in_every_spelling(text: str) -> None:
    for spelling in ("999", "999.0", "9.99e2", "+999"):
        assert read([spelling, text], attribute("number", missing_tokens=("999",)))[0] == (None, "missing_token")
    assert read(pl.Series([999]), attribute("number", missing_tokens=("999",))) == [(None, "missing_token")]


def test_a_short_float_means_its_shortest_decimal_as_text_does() -> None:
    share = attribute("number", minimum=0, maximum=0.1)
    for column in (pl.Series(["0.1"]), pl.Series([0.1]), pl.Series([0.1], dtype=pl.Float32)):
        assert read(column, share) == [(0.1, None)]
    assert read(pl.Series([21.46875]).cast(pl.Float16), attribute("number")) == [(21.46875, None)]


def test_categories_and_lists() -> None:
    mix = attribute("category", values=("Bad", "Good"), missing_tokens=("_______",), strip="_")
    assert read(["Good", " Bad_", "good", "_______", "", None, "__"], mix) == [
        ("Good", None),
        ("Bad", None),
        (None, "unknown_category"),
        (None, "missing_token"),
        (None, "missing"),
        (None, "missing"),
        (None, "missing_token"),
    ]
    codes = attribute("category", values=("1", "2"))
    assert read(pl.Series([1, 3]), codes) == [("1", None), (None, "unknown_category")]
    assert read(pl.Series([2.0, 2.5, math.nan]), codes) == [("2", None)] + [(None, "unknown_category")] * 2
    loans = attribute("list", values=("A", "B"))
    assert read(["A, B, and A", "A, and B", "A", "A, C", ""], loans) == [
        (["A", "B", "A"], None),
        (["A", "B"], None),
        (["A"], None),
        (None, "unknown_category"),
        (None, "missing"),
    ]


@given(st.lists(any_text, min_size=1, max_size=8), st.sampled_from([*KINDS]))
def test_a_cell_is_read_alone_as_among_others_and_null_has_exactly_one_cause(cells: list[str], kind: str) -> None:
    values = ("A", "B") if KINDS[kind].has_values else ()
    of = attribute(kind, values=values, strip="_", missing_tokens=("?",))
    together = read(list(cells), of)
    assert together == [read([cell], of)[0] for cell in cells]
    assert all((value is None) == (cause is not None) for value, cause in together)

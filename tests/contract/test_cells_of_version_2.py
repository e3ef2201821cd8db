"""What cells mean in specs of version 2: numbers in every spelling, also as people write them, and its kinds."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.cells import KINDS, spellings_of
from features.errors import SpecError
from features.matrix import build_carried, build_features
from features.spec.file import parse_spec
from scoring.message.decoder import MessageDecoder
from scoring.message.from_tables import to_messages
from tests.conftest import PROJECT
from tests.recorded_cells import corpus
from tests.unit.test_plain_cells import few_rows
from tests.unit.test_values import attribute, read

NAN = float("nan")
MEANINGS: list[tuple[str, dict[str, Any], dict[str, float | str | None]]] = [
    (
        "percent",
        {},
        {"14.90%": 14.9, "75 %": 75.0, "14.9": 14.9, "-1%": -1.0, "5%%": None, "%": None, "1,234.5%": 1234.5},
    ),
    ("percent", {"decimal": ","}, {"14,90%": 14.9, "14.90%": None, "75 %": 75.0}),
    (
        "money",
        {},
        {
            "$35,625.43": 3562543,
            "(1,131.00)": -113100,
            "-$5": -500,
            "$-5.10": -510,
            "$(5.00)": -500,
            "($5.00)": -500,
            "5 EUR": 500,
            "EUR 5": 500,
            "€ 1 234.50": 123450,
            "1'234.50": 123450,
            "1,234,567": 123456700,
            "US$7": 700,
            "\u22125": -500,
            "1.005": None,
            "1,23": None,
            "12,34,567": None,
            "(5": None,
            "-(5)": None,
            "$5$": None,
            "5 USD": None,
            "1 234,50": None,
            "": None,
        },
    ),
    ("money", {"decimal": ","}, {"1.234,56": 123456, "-0,5": -50, "1.234": 123400, "12.5": None, "1 234,56 €": 123456}),
    ("number", {}, {"1,234.5": 1234.5, "$12.50": 12.5, "(12.5)": -12.5, "1e3": 1000.0, "14.90%": None, "1,5": None}),
    (
        "number",
        {"decimal": ","},
        {"1,5": 1.5, ",5": 0.5, "1,5e3": 1500.0, "1.5": None, "nan": None, "1.234.567,8": 1234567.8},
    ),
    ("integer", {}, {"1,234": 1234.0, "1,234.5": None, "$5": 5.0}),
    (
        "duration",
        {},
        {"36 months": 36.0, "10+ years": 120.0, "< 1 year": 0.0, "3 Yrs 2 mos": 38.0, "1.5 years": 18.0, "24": 24.0},
    ),
    (
        "duration",
        {"unit": "years"},
        {"10+ years": 10.0, "< 1 year": 0.0, "1 year": 1.0, "36 months": 3.0, "6 months": 0.5, "7": 7.0, "n/a": None},
    ),
    (
        "boolean",
        {},
        {
            "Y": 1.0,
            "no": 0.0,
            "TRUE": 1.0,
            "f": 0.0,
            "1.0": 1.0,
            "0e0": 0.0,
            "-0": 0.0,
            "2": None,
            "yep": None,
            "tRuE": 1.0,
        },
    ),
    ("category", {"values": ("1", "2")}, {"1.0": "1", "1e0": "1", "01": "1", "+2": "2", "3": None, "true": None}),
    ("category", {"values": ("0", "1"), "decimal": ","}, {"1,0": "1", "1.0": None, "true": "1"}),
    ("boolean", {"decimal": ","}, {"1,0": 1.0, "0": 0.0, "Y": 1.0}),
    ("category", {"values": ("0", "1")}, {"1.0": "1", "TRUE": "1", "false": "0", "0.0": "0"}),
    ("category", {"values": ("01", "2")}, {"1": None, "01": "01", "2.0": "2", "02": None, "1.0": None}),
    (
        "category",
        {"values": ("TRUE", "FALSE")},
        {"true": "TRUE", "False": "FALSE", "1": "TRUE", "0.0": "FALSE", "t": None},
    ),
    (
        "category",
        {"values": ("735-739", "5001+"), "ordered": True},
        {"735-739": "735-739", "5001+": "5001+", "740-744": None},
    ),
    ("category", {"values": ("0.1", "x"), "missing_tokens": ("9",)}, {"0.10": "0.1", "9.0": None, ".1": "0.1"}),
]


@pytest.mark.parametrize(("kind", "declared", "meanings"), MEANINGS)
def test_cells_mean_what_the_table_says(kind: str, declared: dict[str, Any], meanings: dict[str, Any]) -> None:
    of = attribute(kind, version=2, **declared)
    assert dict(zip(meanings, [value for value, _ in read([*meanings], of)], strict=True)) == meanings


def test_a_missing_token_that_is_a_number_is_missing_in_every_spelling_of_a_category() -> None:
    assert (
        read(["9.0", "9"], attribute("category", version=2, values=("1",), missing_tokens=("9",)))
        == [(None, "missing_token")] * 2
    )


@given(
    st.lists(st.sampled_from(corpus()) | st.text(max_size=8), min_size=1, max_size=6),
    st.sampled_from([*KINDS]),
    st.sampled_from(".,"),
)
def test_the_quick_way_is_the_definition_whatever_the_cells(cells: list[str], kind: str, decimal: str) -> None:
    values = ("1", "0.5", "Good") if KINDS[kind].has_values else ()
    of = attribute(kind, version=2, decimal=decimal, values=values, missing_tokens=("999", "?"), strip="_")
    read([*cells], of)  # compares all ways


@pytest.mark.parametrize("kind", [*KINDS])
def test_the_quick_way_is_the_definition_for_all_recorded_cells(kind: str) -> None:
    values = ("1", "0", "Good", "mortgage") if KINDS[kind].has_values else ()
    for decimal in ".,":
        read(
            [*corpus()], attribute(kind, version=2, decimal=decimal, values=values, missing_tokens=("999",), strip="_")
        )


flags = st.lists(st.sampled_from([0, 1, None]), min_size=1, max_size=6)
SPELLED = {
    0: ["0", "0.0", "0e0", "-0", "false", "False", "FALSE"],
    1: ["1", "1.0", "1e0", "+1", "true", "True", "TRUE", "10e-1"],
}
TYPES: dict[str, pl.DataType] = {
    "Int8": pl.Int8(),
    "Int64": pl.Int64(),
    "UInt64": pl.UInt64(),
    "Float32": pl.Float32(),
    "Float64": pl.Float64(),
    "Decimal": pl.Decimal(10, 2),
    "Boolean": pl.Boolean(),
}


@given(flags, st.data(), st.sampled_from([("category", ("0", "1")), ("category", ("TRUE", "FALSE")), ("boolean", ())]))
def test_a_flag_is_the_same_in_every_type_and_spelling(
    cells: list[int | None], data: st.DataObject, declared: tuple[str, tuple[str, ...]]
) -> None:
    kind, values = declared
    of = attribute(kind, version=2, values=values)
    texts = [None if cell is None else data.draw(st.sampled_from(SPELLED[cell])) for cell in cells]
    expected = [value for value, _ in read(pl.Series(texts, dtype=pl.String), of)]
    names = {0: "FALSE", 1: "TRUE"} if "TRUE" in values else {0: "0", 1: "1"}
    assert expected == [None if c is None else (names[c] if values else float(c)) for c in cells]
    for dtype in TYPES.values():
        assert [value for value, _ in read(pl.Series(cells).cast(dtype), of)] == expected
    assert [value for value, _ in read(pl.Series(texts, dtype=pl.Categorical), of)] == expected


@given(
    st.lists(st.decimals(-10_000, 10_000, places=2), min_size=1, max_size=5),
    st.sampled_from(["number", "money", "percent"]),
    st.sampled_from(".,"),
)
def test_a_number_is_the_same_in_every_type_and_spelling(cells: list[Decimal], kind: str, decimal: str) -> None:
    of = attribute(kind, version=2, decimal=decimal)
    columns = [
        pl.Series(cells, dtype=pl.Decimal(18, 2)),
        pl.Series([float(cell) for cell in cells]),
        pl.Series([str(cell).replace(".", decimal) for cell in cells]),
        pl.Series([people(cell, decimal) for cell in cells]),
    ]
    first, *others = (read(column, of) for column in columns)
    assert all(value is not None for value, _ in first)
    assert all(other == first for other in others)


GROUPED = {".": ",' \u202f\u00a0", ",": ".' \u202f\u00a0"}  # what people put between thousands, by decimal mark


@given(
    st.lists(
        st.decimals(-10_000, 10_000, places=1) | st.sampled_from([Decimal(v) for v in (-9999, -50, 999, 1000, 9999)]),
        min_size=1,
        max_size=9,
    ),
    st.sampled_from([name for name, kind in KINDS.items() if kind.has_range]),
    st.sampled_from([(decimal, between) for decimal, several in GROUPED.items() for between in several]),
)
def test_why_a_number_as_people_write_it_is_no_use_is_the_same_in_bulk(
    cells: list[Decimal], kind: str, marks: tuple[str, str]
) -> None:
    decimal, between = marks
    of = attribute(kind, version=2, decimal=decimal, minimum=-50, maximum=5000, missing_tokens=("999", "-9999"))
    written = [f"{cell:,.1f}".replace(",", "_").replace(".", decimal).replace("_", between) for cell in cells]
    whole = [f"{int(cell):,}".replace(",", between) for cell in cells]
    read([*written, *whole, *(f"{text}9" for text in whole)], of)  # compares all ways


def people(value: Decimal, decimal: str) -> str:
    grouped = f"{abs(value):,.2f}".translate(str.maketrans(",.", ".,")) if decimal == "," else f"{abs(value):,.2f}"
    return f"(${grouped})" if value < 0 else f"${grouped}"


TABLE = """
spec_version = 2
name = "all kinds"
classes = ["Poor", "Good"]
decimal = ","
[currency]
code = "EUR"
minor_digits = 2
[missing]
tokens = ["n/a"]
[attributes.rate]
kind = "percent"
[attributes.income]
kind = "money"
[attributes.score]
kind = "number"
decimal = "."
[attributes.term]
kind = "duration"
unit = "years"
[attributes.flag]
kind = "boolean"
[attributes.default]
kind = "category"
values = ["0", "1"]
[attributes.band]
kind = "category"
ordered = true
values = ["735-739", "740-744", "5001+"]
[events]
kinds = ["payment"]
[rfm.payments]
kinds = ["payment"]
windows_days = [90]
monetary = ["sum"]
[policy.costs]
Poor = { Poor = 0, Good = 5 }
Good = { Poor = 3, Good = 0 }
[score]
base_score = 600
base_odds = 2
points_to_double_odds = 50
"""
SPEC = parse_spec(TABLE)


def tables() -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """The same table three times: as people write it, as programs write it, and typed."""
    ids = {"application_id": ["a", "b", "c"], "customer_id": ["x", "y", "z"], "as_of": ["2026-01-31"] * 3}
    band = ["735-739", "5001+", "n/a"]
    people = {
        "rate": ["14,90%", "75 %", ""],
        "income": ["€1.234,50", "(5,00)", None],
        "score": ["1,234.5", "0.1", "n/a"],
    }
    people |= {
        "term": ["10+ years", "< 1 year", "n/a"],
        "flag": ["Y", "no", ""],
        "default": ["1,0", "FALSE", None],
        "band": band,
    }
    programs = {"rate": ["14,9", "75", None], "income": ["1234,5", "-5", ""], "score": ["1234.5", "0.1", None]}
    programs |= {"term": ["10", "0", None], "flag": ["1", "0", None], "default": ["1", "0", ""], "band": band}
    typed: dict[str, Any] = {"rate": [14.9, 75.0, None], "income": [Decimal("1234.50"), Decimal("-5.00"), None]}
    typed |= {"score": pl.Series([1234.5, 0.1, None]), "term": pl.Series([10, 0, None], dtype=pl.Int8)}
    typed |= {
        "flag": [True, False, None],
        "default": pl.Series([1.0, 0.0, None]),
        "band": pl.Series(band, dtype=pl.Categorical),
    }
    amounts = (["-1.234,50", "2"], ["-1234,5", "2,00"], [-1234.5, 2.0])
    moved = {"customer_id": ["x", "y"], "occurred_at": ["2026-01-01"] * 2, "kind": ["payment"] * 2}
    return [
        (pl.DataFrame({**ids, **columns}), pl.DataFrame({**moved, "amount": own}))
        for columns, own in zip((people, programs, typed), amounts, strict=True)
    ]


@pytest.mark.parametrize("few", [10_000, -1], ids=["cell by cell", "in columns"])
def test_the_same_table_gives_the_same_bits_as_text_typed_and_as_messages(few: int) -> None:
    with few_rows(few):
        found = [build_features(*table, SPEC) for table in tables()]
        assert found[0].matrix.tobytes() == found[1].matrix.tobytes() == found[2].matrix.tobytes()
        assert found[0].matrix[:2].tolist() == [
            pytest.approx([14.9, 1234.5, 1234.5, 10, 1, 0, 1, 0, -1234.5]),
            pytest.approx([75, -5, 0.1, 0, 0, 1, 0, 2, 2]),
        ]
        for table in tables():
            decoded = MessageDecoder(SPEC).decode([message.body for message in to_messages(*table, SPEC)])
            assert build_carried(decoded.carried, SPEC).matrix.tobytes() == found[0].matrix.tobytes()


def test_a_json_number_has_a_point_and_json_truth_is_a_flag() -> None:
    attributes = {
        "rate": 14.9,
        "income": 1234.5,
        "score": 1234.5,
        "term": 10,
        "flag": True,
        "default": True,
        "band": "735-739",
    }
    moved = [{"occurred_at": "2026-01-01", "kind": "payment", "amount": -1234.5}]
    message = {
        "application_id": "a",
        "customer_id": "x",
        "as_of": "2026-01-31",
        "attributes": attributes,
        "events": moved,
    }
    decoded = MessageDecoder(SPEC).decode([json.dumps(message).encode()])
    row = build_features(*tables()[0], SPEC).matrix[:1]
    assert build_carried(decoded.carried, SPEC).matrix.tobytes() == row.tobytes()
    wrong = json.dumps(message | {"attributes": attributes | {"rate": True}}).encode()
    (refusal,) = MessageDecoder(SPEC).decode([wrong]).places
    assert refusal.code == "field_wrong_type"  # type: ignore[union-attr]


WRONG = [
    ('values = ["0", "1"]', 'values = ["1", "1,0"]', "attributes.default.values: '1' and '1,0' are the same value"),
    ('values = ["0", "1"]', 'values = ["true", "TRUE"]', "attributes.default.values"),
    ('unit = "years"', 'unit = "weeks"', "attributes.term.unit"),
    ('decimal = ","', 'decimal = ";"', "decimal"),
    ("spec_version = 2", "spec_version = 1", "decimal"),
]


@pytest.mark.parametrize(("old", "new", "key"), WRONG)
def test_a_spec_that_contradicts_itself_is_refused(old: str, new: str, key: str) -> None:
    with pytest.raises(SpecError, match=key.replace("(", r"\(")):
        parse_spec(TABLE.replace(old, new, 1))


def test_version_1_knows_neither_the_kinds_nor_two_spellings() -> None:
    old = (
        TABLE.replace("spec_version = 2", "spec_version = 1").replace('decimal = ","', "").replace('decimal = "."', "")
    )
    with pytest.raises(SpecError, match="came with spec_version 2"):
        parse_spec(old)
    assert read(["1.0"], attribute("category", values=("1", "1.00"))) == [(None, "unknown_category")]
    assert read(["$5"], attribute("money")) == [(None, "unreadable")]


def test_one_spelling_of_each_value() -> None:
    assert spellings_of(["1.0", "1", "0.0", "x", "0"]) == ("1", "0", "x")
    assert spellings_of(["01", "1"]) == ("01", "1")


def test_the_table_of_meanings_in_the_documentation_is_what_the_kinds_say() -> None:
    document = (PROJECT / "docs/spec.md").read_text()
    for kind in KINDS.values():
        since = "" if kind.since == 1 else f" (version {kind.since})"
        assert f"\n| `{kind.name}`{since} | {kind.meaning} |\n" in document


def test_a_golden_cell_of_each_kind_is_usable_and_a_dirty_one_is_not() -> None:
    generator = np.random.default_rng(0)
    for name, kind in KINDS.items():
        of = attribute(name, version=2, values=("1", "Good") if kind.has_values else ())
        golden = [kind.golden(of, generator) for _ in range(50)]
        assert all(cause is None for _, cause in read([*golden], of)), name
        assert name == "text" or all(cause for _, cause in read([*kind.dirty(of)], of)[:1]), name


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("money", "$5.00"),
        ("percent", "5%"),
        ("duration", "1 Years and 0 Months"),
        ("duration", "3 yrs"),
        ("number", "1,234"),
    ],
)
def test_a_missing_token_that_could_be_read_is_missing_in_bulk_too(kind: str, token: str, version: int) -> None:
    of = attribute(kind, version=max(version, KINDS[kind].since), missing_tokens=(token,))
    assert read([token, "7"], of)[0] == (None, "missing_token")

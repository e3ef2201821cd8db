"""Few rows are read cell by cell, many in columns: the same features, rejects and dirt, whatever the cells hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.cells import kind_of
from features.cells.instants import instant
from features.matrix import FeatureTable, build_features
from features.rfm.events import APPLICATION_ROW, event_reader
from features.spec.contract import Spec
from features.spec.file import parse_spec
from tests.hostile_cells import INSTANTS, NUMBERS, TEXTS
from tests.unit.test_features import EVENT, GOOD, SPEC, TEXT

HOSTILE = [None, "", *NUMBERS.values(), *TEXTS.values(), *INSTANTS.values()]
USUAL = [
    *GOOD.values(),
    *EVENT.values(),
    "_41_",
    "-500",
    "999",
    "999.0",
    "12.5",
    "mortgage,none",
    "n/a",
    "2025-08-31T10:00",
]
SPECS = [
    SPEC,
    parse_spec(TEXT.replace('strip = "_"', 'strip = ""').replace('"n/a"]', '"999", "12.5", "none", "mortgage, none"]')),
    parse_spec(TEXT.replace('strip = "_"', 'strip = "_9"')),
    parse_spec(TEXT.replace("minor_digits = 2", "minor_digits = 0").replace("range = [18, 100]", "required = true")),
]
cells = st.sampled_from(HOSTILE + USUAL) | st.text(st.characters(codec="utf-8"), max_size=12)
rows = st.fixed_dictionaries({name: st.just(value) | cells for name, value in GOOD.items()})
carried = st.fixed_dictionaries(
    {name: st.just(value) | cells for name, value in EVENT.items() if name != "customer_id"}
    | {"recorded_at": st.none() | cells}
)


@contextmanager
def few_rows(most: int) -> Iterator[None]:
    """Set another limit of what few rows are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("features.cells.reading.PLAIN_ROWS", most)
        patch.setattr("features.cells.reading.FEW_ROWS", most)
        yield


def built(some: list[dict[str, Any]], their: list[dict[str, Any]], spec: Spec, *, few: int) -> FeatureTable:
    """Build with another limit of what few rows are."""
    events = {"occurred_at": pl.String, "kind": pl.String, "amount": pl.String, "recorded_at": pl.String}
    with few_rows(few):
        return build_features(
            pl.DataFrame(some, schema=dict.fromkeys(GOOD, pl.String)),
            pl.DataFrame(their, schema={APPLICATION_ROW: pl.Int64, **events}),
            spec,
        )


def same(some: list[dict[str, Any]], their: list[dict[str, Any]], spec: Spec) -> FeatureTable:
    plainly, in_columns = (built(some, their, spec, few=few) for few in (10_000, -1))
    assert plainly.applications.equals(in_columns.applications)
    assert plainly.applications.schema == in_columns.applications.schema
    assert plainly.matrix.tobytes() == in_columns.matrix.tobytes()
    assert plainly.rejects.equals(in_columns.rejects)
    assert plainly.dirt.sort(pl.all()).equals(in_columns.dirt.sort(pl.all()))
    return plainly


@pytest.mark.parametrize("spec", SPECS, ids=["strip", "no strip", "digits stripped", "no decimals"])
def test_every_hostile_cell_in_every_column_means_the_same(spec: Spec) -> None:
    some = [{**GOOD, name: cell} for name, cell in product(GOOD, [*HOSTILE, *USUAL])]
    their = [
        {APPLICATION_ROW: row, **EVENT, "recorded_at": None, name: cell}
        for row, (name, cell) in enumerate(
            product(("occurred_at", "kind", "amount", "recorded_at"), [*HOSTILE, *USUAL]), 1
        )
    ]
    table = same(some, [{name: event[name] for name in event if name != "customer_id"} for event in their], spec)
    assert table.matrix.shape[0] > 100
    assert len(set(table.rejects["code"])) > 8


@given(st.lists(rows, min_size=1, max_size=4), st.lists(carried, max_size=4), st.sampled_from(SPECS))
def test_rows_of_any_cells_mean_the_same(some: list[dict[str, Any]], their: list[dict[str, Any]], spec: Spec) -> None:
    same(some, [{APPLICATION_ROW: 1 + i % len(some), **event} for i, event in enumerate(their)], spec)


def test_what_programs_write_is_read_by_the_quick_expression() -> None:
    """Were all cells left to the definition, the tests above would see no difference."""
    readings = [
        *[kind_of(attribute).reading(attribute, pl.String()) for attribute in SPEC.attributes],
        instant("applications", "as_of", pl.String()),
    ]
    usual = GOOD | {"outstanding_debt": "1000.00_", "loans": "mortgage"}
    for reading in readings:
        assert reading.quick is not None
        assert pl.DataFrame({reading.name: [usual[reading.name]]}).select(reading.quick).item() is not None


digits = st.integers(-(10**14), 10**14).map(lambda minor: f"{minor / 100:.2f}")
whole_amounts = st.lists(
    digits | st.sampled_from(["-0.50", "1.00\n2.00", "1.00\n", "-100000000000.00", "7"]), max_size=4
)
first, last = (datetime.fromisoformat(f"{year}-01-01") for year in (1969, 2201))
moments = st.datetimes(first, last).map(lambda moment: moment.isoformat(timespec="microseconds"))
whole_instants = st.lists(
    moments
    | moments.map(lambda text: text + "Z")
    | moments.map(lambda text: text[:10])
    | moments.map(lambda text: text[:21].replace("T", " "))
    | st.sampled_from(["2025-02-30", "2025-06-30T24:00:00", "2025-01-01\n2025-01-02", "2025-01-01Z", "2025-01-01\n"]),
    max_size=3,
)
kinds = st.lists(st.sampled_from(["salary", "note", " salary", "gift", "salary\nnote"]), max_size=3)


@given(whole_amounts, whole_instants, kinds)
def test_a_column_at_once_is_its_cells_one_by_one(amounts: list[str], instants: list[str], kinds: list[str]) -> None:
    reader = event_reader(SPEC, tuple((name, pl.String()) for name in ("kind", "occurred_at", "amount")))
    for name, column in (("amount", amounts), ("occurred_at", instants), ("kind", kinds)):
        at_once, (values, causes) = reader.read_whole(name, column), reader.read_texts(name, column)
        assert at_once is None or (at_once.tolist() == values and not causes)


def test_columns_of_the_usual_form_are_read_at_once() -> None:
    reader = event_reader(SPEC, tuple((name, pl.String()) for name in ("kind", "occurred_at", "amount")))
    for name, cells, values in (
        ("amount", ["-1.50", "2.00"], [-150, 200]),
        ("occurred_at", ["1970-01-01T00:00:01Z", "1970-01-02"], [1_000_000, 86_400_000_000]),
        ("kind", ["salary", "note"], [0, -1]),
    ):
        whole = reader.read_whole(name, cells)
        assert whole is not None
        assert whole.tolist() == values

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

from features.cleaning import read_attribute
from features.events import APPLICATION_ROW
from features.instants import FIRST, LAST, instant
from features.instants import TEXT as INSTANT_FORM
from features.matrix import FeatureTable, build_features
from features.plain_cells import plain_amount, plain_instant, plain_kind
from features.reading import UNCERTAIN
from features.spec import Spec
from features.spec_file import parse_spec
from tests.hostile_cells import INSTANTS, NUMBERS, TEXTS
from tests.test_features import EVENT, GOOD, SPEC, TEXT

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
        patch.setattr("features.reading.PLAIN_ROWS", most)
        patch.setattr("features.reading.FEW_ROWS", most)
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


def test_what_programs_write_is_read_without_the_stages() -> None:
    """Were all cells left to the stages, the tests above would see no difference."""
    readings = [
        *[read_attribute(attribute, pl.String(), SPEC.currency) for attribute in SPEC.attributes],
        instant("applications", "as_of", pl.String()),
    ]
    usual = GOOD | {"outstanding_debt": "1000.00_"}
    for reading, cell in product(readings, ["", "usual"]):
        assert reading.plain
        assert reading.plain.read(cell and usual[reading.name]) is not UNCERTAIN
    for form in ("2025-08-31", "2025-08-31T10:00:00Z", "2025-08-31 10:00:00.5", "2025-08-31T10:00:00+02:00"):
        assert readings[-1].plain
        assert isinstance(readings[-1].plain.read(form), int)


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
    index = {kind: i for i, kind in enumerate(SPEC.event_kinds)} | {"note": -1}
    columns = (
        (plain_amount(2), amounts),
        (plain_instant(INSTANT_FORM, FIRST, LAST), instants),
        (plain_kind(index), kinds),
    )
    for plain, column in columns:
        assert plain.whole
        at_once = plain.whole(column)
        assert at_once is None or at_once.tolist() == [plain.read(cell) for cell in column]


def test_columns_of_the_usual_form_are_read_at_once() -> None:
    assert plain_amount(2).whole(["-1.50", "2.00"]).tolist() == [-150, 200]  # type: ignore[union-attr, misc]
    assert plain_amount(0).whole(["-1", "2"]).tolist() == [-1, 2]  # type: ignore[union-attr, misc]
    instants = plain_instant(INSTANT_FORM, FIRST, LAST).whole(["1970-01-01T00:00:01Z", "1970-01-02"])  # type: ignore[misc]
    assert instants is not None
    assert instants.tolist() == [1_000_000, 86_400_000_000]

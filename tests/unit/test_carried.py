"""Applications that carry their events need no frames: the same features, rejects and dirt, whatever the cells hold."""

from collections import Counter
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.carried import Carried, read_plainly
from features.matrix import FeatureTable, build_carried, build_features, list_features
from features.spec.contract import IDENTITY, Spec
from features.spec.file import parse_spec
from tests.unit.test_features import EVENT, GOOD, SPEC, TEXT
from tests.unit.test_plain_cells import HOSTILE, SPECS, USUAL, cells, few_rows

PHONE = '[attributes.phone]\nkind = "text"\nmissing_tokens = ["none", " n/a", "nurse"]\nstrip = "_"\n\n'
NOTED = parse_spec(TEXT.replace("[attributes.months_employed]", PHONE + "[attributes.months_employed]"))
ROW: dict[str, Any] = {**GOOD, "phone": "0151-555"}
ONE: dict[str, Any] = {name: cell for name, cell in EVENT.items() if name != "customer_id"} | {"recorded_at": None}
rows = st.fixed_dictionaries({name: st.just(value) | cells for name, value in ROW.items()})
events = st.fixed_dictionaries({name: st.just(value) | cells for name, value in ONE.items()})


def carry(some: list[dict[str, Any]], their: list[list[dict[str, Any]]], spec: Spec) -> Carried:
    """Return what a decoder makes of messages with these cells: `their[i]` are the events of application i."""
    whole, names = [event for events in their for event in events], ("occurred_at", "kind", "amount")
    late = ["recorded_at"] if any(event["recorded_at"] for event in whole) else []
    return Carried(
        {name: [row[name] for row in some] for name in (*IDENTITY, *[a.name for a in spec.attributes])},
        {name: [event[name] for event in whole] for name in (*names, *late)},
        [len(events) for events in their],
    )


def dirt_of(table: FeatureTable) -> Counter[tuple[str, str, str]]:
    return Counter({(where, column, cause): cells for where, column, cause, cells in table.counted})


def needs_no_frame(some: list[dict[str, Any]], their: list[list[dict[str, Any]]], spec: Spec) -> bool:
    """Check that nothing differs from the canonical tables, read in columns; return whether none were needed."""
    carried = carry(some, their, spec)
    table = build_carried(carried, spec)
    with few_rows(-1):
        in_columns = build_features(*carried.frames(), spec)
    ids = ("application_id", "customer_id", "as_of")
    assert table.applications.select(ids).equals(in_columns.applications.select(ids))
    assert table.matrix.tobytes() == in_columns.matrix.tobytes()
    assert table.rejects.equals(in_columns.rejects)
    assert table.dirt.sort(pl.all()).equals(in_columns.dirt.sort(pl.all()))
    return read_plainly(carried, spec) is not None


@pytest.mark.parametrize("spec", [*SPECS[2:], NOTED], ids=["digits stripped", "required", "text"])
@pytest.mark.slow
def test_any_hostile_cell_in_any_field_means_the_same(spec: Spec) -> None:
    """Each message alone against all of them as one table."""
    names = [attribute.name for attribute in spec.attributes]
    some = [{**ROW, name: cell} for name, cell in product((*IDENTITY, *names), HOSTILE)]
    odd = [{**ONE, name: cell} for name, cell in product(ONE, HOSTILE)]
    their = [[ONE] for _ in some] + [[ONE, event] for event in odd]
    some += [ROW for _ in odd]
    with few_rows(-1):
        together = build_features(*carry(some, their, spec).frames(), spec)
    alone = [build_carried(carry([row], [own], spec), spec) for row, own in zip(some, their, strict=True)]
    assert b"".join(table.matrix.tobytes() for table in alone) == together.matrix.tobytes()
    codes = dict(zip(*together.rejects.select("row", "code"), strict=True))
    assert codes == {row: table.rejects["code"][0] for row, table in enumerate(alone, 1) if table.rejects.height}
    assert sum((dirt_of(table) for table in alone), Counter()) == dirt_of(together)
    optional = sum(not attribute.required for attribute in spec.attributes)
    plainly = [read_plainly(carry([row], [own], spec), spec) for row, own in zip(some, their, strict=True)]
    assert sum(rows is not None for rows in plainly) >= optional * len(HOSTILE), "what is optional rejects nothing"


def test_many_cells_of_the_usual_forms_need_no_frame() -> None:
    usual = [{**ROW, name: cell} for name, cell in product(ROW, ["", *USUAL]) if name not in IDENTITY]
    late = {**ONE, "recorded_at": "2025-07-01"}
    their = [
        [ONE, {**ONE, "kind": "note", "occurred_at": "2025-06-01T10:00"}, late][: i % 4] for i in range(len(usual))
    ]
    assert needs_no_frame(usual, their, SPEC)
    assert needs_no_frame(usual, their, NOTED)
    assert needs_no_frame(usual, [[] for _ in usual], SPEC)
    assert not needs_no_frame([{**ROW, "as_of": ""}], [[ONE]], SPEC)


@given(
    st.lists(st.tuples(rows, st.lists(events, max_size=2)), min_size=1, max_size=4), st.sampled_from([*SPECS, NOTED])
)
def test_rows_of_any_cells_mean_the_same(some: list[tuple[dict[str, Any], list[dict[str, Any]]]], spec: Spec) -> None:
    needs_no_frame([row for row, _ in some], [their for _, their in some], spec)


def test_a_text_moves_no_other_attribute_to_another_column() -> None:
    """A text before a category without an order did: its indicators were made of the column before it."""
    assert list_features(NOTED) == list_features(SPEC)
    for spec in (SPEC, NOTED):
        carried = carry([ROW], [[ONE]], spec)
        row = dict(
            zip([f.name for f in list_features(spec)], build_features(*carried.frames(), spec).matrix[0], strict=True)
        )
        assert (row["months_employed"], row["occupation=nurse"], row["occupation=other"]) == (41, 1, 0)
        assert (
            build_carried(carried, spec).matrix.tobytes()
            == build_carried(carry([ROW], [[ONE]], SPEC), SPEC).matrix.tobytes()
        )

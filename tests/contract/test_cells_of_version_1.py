"""What cells meant before `features/cells` is recorded; specs of version 1 give them the same values and causes."""

import json
import math
from typing import Any

import polars as pl
import pytest

from features.cells import Reader, kind_of
from features.errors import InputError
from features.rfm.events import event_reader
from features.spec.contract import Attribute, Currency
from tests.conftest import PROJECT
from tests.recorded_cells import ATTRIBUTES, EVENT_COLUMNS, columns, corpus, record, record_events
from tests.unit.test_features import EVENT, SPEC
from tests.unit.test_plain_cells import few_rows
from tests.unit.test_values import attribute

RECORDED = json.loads((PROJECT / "tests" / "tables/cells_of_version_1.json").read_text())
EURO = Currency(code="EUR", minor_digits=2)
WAYS = pytest.mark.parametrize("few", [10_000, -1], ids=["cell by cell", "in columns"])


def pairs(read: Reader, table: pl.DataFrame, name: str) -> list[Any]:
    cells = read.read(table)[name]
    return [list(pair) for pair in zip(cells.values.to_list(), cells.causes.to_list(), strict=True)]


def read_attribute(declared: dict[str, object], column: pl.Series) -> Any:
    of: Attribute = attribute(**declared)  # type: ignore[arg-type]
    try:
        return pairs(Reader([kind_of(of).reading(of, column.dtype)]), pl.DataFrame({"x": column}), "x")
    except InputError as error:
        return str(error)


def read_event(name: str, column: pl.Series) -> Any:
    whole = {n: column if n == name else pl.Series([EVENT[n]] * len(column)) for n in EVENT_COLUMNS}
    table = pl.DataFrame(whole)
    try:
        return pairs(event_reader(SPEC, tuple(table.schema.items())), table, name)
    except InputError as error:
        return str(error)


@WAYS
def test_attributes_mean_what_they_meant(few: int) -> None:
    with few_rows(few):
        for name, title, read in record(read_attribute):
            same(read, RECORDED[name][title], f"{name}: {title}")


@WAYS
def test_events_mean_what_they_meant(few: int) -> None:
    with few_rows(few):
        for name, title, read in record_events(read_event):
            same(read, RECORDED[f"events.{name}"][title], f"{name}: {title}")


def same(read: Any, recorded: Any, where: str) -> None:
    if isinstance(recorded, str):
        assert read == recorded, where
        return
    for i, (ours, theirs) in enumerate(zip(read, recorded, strict=True)):
        assert ours == theirs, (where, i, corpus()[i] if where.endswith("texts") and i < len(corpus()) else "")
        assert not isinstance(ours[0], float) or math.copysign(1, ours[0]) == math.copysign(1, theirs[0]), where


def test_the_record_covers_every_kind_of_version_1_and_every_cause() -> None:
    assert RECORDED.keys() == {*ATTRIBUTES, *[f"events.{name}" for name in EVENT_COLUMNS]}
    causes = {cause for table in RECORDED.values() for _, cause in table["texts"]}
    assert len(causes) == 9
    assert all(len(table) == len(columns()) + 1 for table in RECORDED.values())

"""Events as they come, cleaned once by the doors' own reader: records, those that cannot be used, orphans.

Kinds are kept as numbers of the store's own list, also those that the spec ignores or does not know: the next bundle
may use them. What a kind means is decided when a door reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import identifier, identifier_code, require_columns
from features.cells import Cells
from features.cells.texts import WHITE_SPACE
from features.errors import SettingsError
from features.event_arrays import Int64s
from features.rejects import EVENTS
from features.rfm import event_reader
from features.spec.contract import EVENT_COLUMNS, Spec
from history.records import NEVER, RECORD, Records, UnusableEvent
from history.store import MOST_KINDS

_CELLS = ("kind", "occurred_at", "amount", "recorded_at")
_MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Places:
    """Where events come from: partition and offset of each, and when it arrived (microseconds since 1970)."""

    partitions: Int64s
    offsets: Int64s
    at: Int64s

    def only(self, wanted: NDArray[np.bool_]) -> "Places":
        """Select places by mask."""
        return Places(self.partitions[wanted], self.offsets[wanted], self.at[wanted])


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Events by customer; unusable ones by customer; places and codes of events without a customer; the kinds."""

    events: dict[str, Records]
    unusable: list[tuple[str, UnusableEvent]]
    orphans: list[tuple[int, int, str]]
    kinds: tuple[str, ...]


def clean(table: pl.DataFrame, places: Places, spec: Spec, kinds: tuple[str, ...]) -> Cleaned:
    """Clean a canonical table of events. Rows in = records + unusable + orphans.

    Raises:
        InputError: a column is missing or of a type that cannot be read.
        SettingsError: there are more kinds than a store takes.

    """
    require_columns(table, EVENTS, EVENT_COLUMNS)
    kind = pl.col("kind").cast(pl.String).str.strip_chars(WHITE_SPACE).fill_null("")
    named = table.lazy().select(
        identifier(table.schema, EVENTS, "customer_id"), kind
    )  # one query: few events are usual
    names = named.with_columns(identifier_code("customer_id", "event_").alias("lost")).collect()
    orphans = _orphans(places, names["lost"])
    if orphans:
        known = names["lost"].is_null()
        table, names, places = table.filter(known), names.filter(known), places.only(known.to_numpy())
    cells, texts = _read(table, spec), names["kind"]
    codes = _codes(cells, texts)
    usable = (
        np.array([code is None for code in codes.to_list()], dtype=bool) if codes.null_count() < len(codes) else None
    )
    numbers, kinds = _numbered(texts if usable is None else texts.filter(pl.Series(usable)), kinds)
    records = _records(cells, places, numbers, usable)
    customers = names["customer_id"]
    unusable = [] if usable is None else list(_unusable(table, customers, places, codes))
    if usable is not None:
        customers = customers.filter(pl.Series(usable))
    return Cleaned(dict(_by_customer(customers, records)), unusable, orphans, kinds)


def _orphans(places: Places, codes: pl.Series) -> list[tuple[int, int, str]]:
    if codes.null_count() == len(codes):
        return []
    lost = codes.is_not_null().arg_true().to_list()
    return [(int(places.partitions[i]), int(places.offsets[i]), codes[i]) for i in lost]


def _read(table: pl.DataFrame, spec: Spec) -> Mapping[str, Cells]:
    """Read cells; a `recorded_at` that no event has is left out, since most topics have none."""
    schema = table.schema
    names = [name for name in _CELLS if name in schema]
    if "recorded_at" in names and table["recorded_at"].null_count() == table.height:
        names.remove("recorded_at")
    return event_reader(spec, tuple((name, schema[name]) for name in names)).read(table)


def _codes(cells: Mapping[str, Cells], kinds: pl.Series) -> pl.Series:
    """Return why each event cannot be used whatever the kinds of the spec are; null where it can."""
    found = pl.Series([None], dtype=pl.String).new_from_index(0, len(kinds))
    if (lacking := kinds == "").any():
        found = found.zip_with(~lacking, pl.Series(["event_kind_missing"]))
    for name in ("occurred_at", "amount", "recorded_at"):
        if name not in cells or cells[name].values.null_count() == 0:
            continue
        causes = cells[name].causes
        if name == "recorded_at":
            causes = causes.set(causes == _MISSING, None)
        found = found.zip_with(found.is_not_null(), f"event_{name}_" + causes)
    return found


def _numbered(kinds: pl.Series, known: tuple[str, ...]) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    new = [kind for kind in kinds.unique(maintain_order=True).to_list() if kind not in set(known)]
    listed = (*known, *new)
    if len(listed) > MOST_KINDS:
        raise SettingsError(
            f"events: more than {MOST_KINDS:,} kinds. A producer writes something else into `kind`; correct it."
        )
    return kinds.cast(pl.Enum(listed)).to_physical().to_numpy().astype(np.uint16), listed


def _records(
    cells: Mapping[str, Cells], places: Places, kinds: NDArray[np.uint16], usable: NDArray[np.bool_] | None
) -> Records:
    chosen = slice(None) if usable is None else usable
    records = np.empty(len(kinds), RECORD)
    records["partition"], records["offset"], records["kind"] = places.partitions[chosen], places.offsets[chosen], kinds
    for name in ("occurred_at", "amount"):
        records[name] = _numbers(cells[name].values, 0)[chosen]
    late = _numbers(cells["recorded_at"].values, NEVER) if "recorded_at" in cells else None
    records["recorded_at"] = NEVER if late is None else late[chosen]
    return records


def _numbers(values: pl.Series, otherwise: int) -> Int64s:
    return (values.fill_null(otherwise) if values.null_count() else values).to_numpy()


def _unusable(
    table: pl.DataFrame, customers: pl.Series, places: Places, codes: pl.Series
) -> Iterator[tuple[str, UnusableEvent]]:
    rows = codes.is_not_null().arg_true()
    texts = table[rows].select(pl.col(name).cast(pl.String) for name in _CELLS if name in table.columns).to_dicts()
    for i, row in zip(rows.to_list(), texts, strict=True):
        column = codes[i].removeprefix("event_")
        named = next(name for name in _CELLS if column.startswith(name))
        place = int(places.partitions[i]), int(places.offsets[i])
        yield customers[i], UnusableEvent(*place, codes[i], named, row, int(places.at[i]))


def _by_customer(customers: pl.Series, records: Records) -> Iterator[tuple[str, Records]]:
    """Group by customer, in the order of arrival."""
    if customers.is_empty():
        return
    frame = customers.alias("customer").to_frame().with_row_index("row").sort("customer", maintain_order=True)
    names, sorted_records = frame["customer"], records[frame["row"].to_numpy()]
    starts = np.append(0, np.flatnonzero((names[1:] != names[:-1]).to_numpy()) + 1)
    ends = [*starts[1:].tolist(), len(names)]
    for start, end, name in zip(starts.tolist(), ends, names[starts].to_list(), strict=True):
        yield name, sorted_records[start:end]

"""Applications that carry their own events, as messages do: lists of texts, which need no frames where they are few.

Making frames and expressions costs more than all else that is done for a few applications. So the definition of each
column is asked for each of their cells. Only where there are many, or where one may be rejected, do they become the two
canonical tables. The features are the same bits either way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from features.applications import is_plain_id, text_reader
from features.cells import AFTER, FEW_ROWS, MISSING, PLAIN_ROWS, Kind, Reader, kind_of
from features.event_arrays import Float64s, History, Int64s, concatenated
from features.rejects import APPLICATIONS, EVENTS, Dirt, count_dirt
from features.rfm.events import APPLICATION_ROW, IGNORED, IGNORED_KIND, event_reader
from features.rfm.stored import Stored
from features.spec.contract import Spec
from features.why_missing import Why, why_of_few

__all__ = ["Carried"]

Texts = list[str | None]


@dataclass(frozen=True, slots=True)
class Carried:
    """Cells by column; `counts` says how many events each application has, in order. `recorded_at` may lack.

    `stored`: the events of applications that carry none, from a history store; None: there is no such application.
    """

    applications: Mapping[str, Texts]
    events: Mapping[str, Texts]
    counts: list[int]
    stored: Stored | None = None

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the canonical tables: applications, and events with their 1-based `application_row`."""
        rows = np.repeat(np.arange(1, len(self.counts) + 1), self.counts)
        events = _frame(self.events).insert_column(0, pl.Series(APPLICATION_ROW, rows, dtype=pl.Int64))
        return _frame(self.applications), events


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Few applications, none of which is rejected. `values`: the clean cells of each attribute, None where missing.

    The customer of an event is the number of the application that carries it.
    """

    application_ids: list[str]
    customer_ids: list[str]
    as_of: Int64s
    values: list[list[Any]]
    events: History
    dirt: list[Dirt]
    why: dict[str, Why]


class _Rejected(Exception):  # noqa: N818 - an outcome, not a fault
    """An application may be rejected, which the canonical tables tell exactly."""


def read_plainly(carried: Carried, spec: Spec) -> PlainRows | None:
    """Read few applications without frames; None where there are many, or where one may be rejected."""
    if len(carried.counts) > PLAIN_ROWS or len(carried.events["kind"]) > FEW_ROWS:
        return None
    if carried.stored is not None and carried.stored.unusable:
        return None
    cells, reader = carried.applications, text_reader(spec)
    try:
        applications, customers = (_plain_ids(cells[name]) for name in ("application_id", "customer_id"))
        as_of = _integers(reader, "as_of", cells["as_of"])
        values, causes = _attributes(reader, cells, as_of, spec)
        events, ignored = _events(carried, spec)
    except _Rejected:
        return None
    found = {name: why_of_few(name, cells[name], own, spec) for name, own in causes.items() if own}
    why = {name: marks for name, marks in found.items() if marks}
    dirt = count_dirt(APPLICATIONS, {name: list(own.values()) for name, own in causes.items()})
    dirt += count_dirt(EVENTS, {"kind": [IGNORED_KIND] * ignored})
    return PlainRows(applications, customers, as_of, values, events, dirt, why)


def _plain_ids(cells: Texts) -> list[str]:
    ids = [cell for cell in cells if cell is not None and is_plain_id(cell)]
    if len(ids) < len(cells):
        raise _Rejected
    return ids


def _attributes(
    reader: Reader, cells: Mapping[str, Texts], as_of: Int64s, spec: Spec
) -> tuple[list[list[Any]], dict[str, dict[int, str]]]:
    values, causes = [], {}
    for attribute in spec.attributes:
        read, why = reader.read_texts(attribute.name, cells[attribute.name])
        kind = kind_of(attribute)
        if kind.relative:
            read, late = _related(kind, read, as_of)
            why |= late
        if why and attribute.required:
            raise _Rejected
        values.append(read)
        causes[attribute.name] = why
    return values, causes


def _related(kind: Kind, values: list[Any], as_of: Int64s) -> tuple[list[Any], dict[int, str]]:
    """Return what values are at `as_of`, and by position the cause of those that were not known then."""
    found = kind.relate(pl.Series(values, dtype=kind.dtype), pl.Series(as_of)).to_list()
    return found, {i: AFTER for i, (old, new) in enumerate(zip(values, found, strict=True)) if new is None != old}


def _events(carried: Carried, spec: Spec) -> tuple[History, int]:
    """Return the events that count, and how many are of kinds that the spec ignores."""
    cells = carried.events
    reader = event_reader(spec, tuple((name, pl.String()) for name in cells))
    kinds, instants, amounts = (_integers(reader, name, cells[name]) for name in ("kind", "occurred_at", "amount"))
    history = History(
        customers=np.repeat(np.arange(len(carried.counts)), carried.counts),
        occurred_at=instants,
        kinds=kinds,
        amounts=amounts,
        known_at=_known_at(reader, cells["recorded_at"]) if "recorded_at" in cells else None,
    )
    counting = kinds != IGNORED
    ignored = len(kinds) - int(np.count_nonzero(counting))
    usable = history.only(counting) if ignored else history
    if carried.stored is None:
        return usable, ignored
    stored, more = carried.stored.counting()
    return concatenated(usable, stored), ignored + more


def _integers(reader: Reader, name: str, cells: Texts) -> Int64s:
    """Read cells of which each must have a value."""
    whole = reader.read_whole(name, cells)
    if whole is not None:
        return whole
    if len(cells) > PLAIN_ROWS:
        raise _Rejected
    values, causes = reader.read_texts(name, cells)
    if causes:
        raise _Rejected
    return np.array(values, dtype=np.int64)


def _known_at(reader: Reader, cells: Texts) -> Float64s | None:
    """Read when events were recorded, NaN where that is not said: then they were known as they occurred."""
    if len(cells) > PLAIN_ROWS:
        raise _Rejected
    values, causes = reader.read_texts("recorded_at", cells)
    if any(cause != MISSING for cause in causes.values()):
        raise _Rejected
    return None if len(causes) == len(values) else np.array(values, dtype=np.float64)


def _frame(columns: Mapping[str, Texts]) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, cells, dtype=pl.String) for name, cells in columns.items()])

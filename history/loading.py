"""The first fill: a file of events, in large transactions in the order of customers."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from features.applications import identifier
from features.errors import InputError, SettingsError
from features.rejects import EVENTS
from features.spec.contract import Spec
from history.ingest import Cleaned, Places, clean
from history.records import Change, State
from history.store import HistoryStore

_SLICE = 400_000  # events in one transaction
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the rows of a file. `already`: those that an earlier run had written."""

    rows: int
    already: int
    unusable: int
    orphans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What is said about a file: `until`, the positions of the topic that it covers; from when on it is complete."""

    fingerprint: str
    until: dict[str, int]
    complete_since: int = 0


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder in the order of their names."""
    hashed = sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                hashed.update(block)
    return hashed.hexdigest()


def load_events(
    store: HistoryStore, table: pl.DataFrame, spec: Spec, loading: Loading, tell: Callable[[int], None] = lambda _: None
) -> Loaded:
    """Write the events of a table; a load that broke off goes on, and a file that is there already adds nothing.

    Raises:
        InputError: a column is missing or of a type that cannot be read.
        SettingsError: the topic was read further than the file reaches already.
        DeliveryError: the store cannot be written, or somebody else writes to it.

    """
    before = store.state()
    state = _begin(before, loading, table.height)
    number = state.files.index(loading.fingerprint) + 1
    partition = str(-number)
    already = state.positions.get(partition, 0)
    ordered = _in_order(table)
    unusable = orphans = 0
    for start in range(already, table.height, _SLICE):
        part = ordered[start : start + _SLICE]
        rows = part["|row"].to_numpy()
        places = Places(np.full(len(rows), -number), rows, np.zeros(len(rows), np.int64))
        cleaned = clean(part, places, spec, state.kinds)
        after = _after(state, cleaned, partition, start + len(rows))
        if start + len(rows) == table.height:
            after = _completed(after, loading)
        store.apply(Change(before=before, after=after, events=cleaned.events, unusable=cleaned.unusable))
        before = state = after
        unusable, orphans = unusable + len(cleaned.unusable), orphans + len(cleaned.orphans)
        tell(start + len(rows))
    return Loaded(table.height, already, unusable, orphans)


def _begin(state: State, loading: Loading, rows: int) -> State:
    read = {name: at for name, at in state.positions.items() if name.isdecimal()}
    known = loading.fingerprint in state.files
    done = known and state.positions.get(str(-1 - state.files.index(loading.fingerprint)), 0) >= rows
    if loading.until and read and read != loading.until and not done:
        raise SettingsError(
            "--until: the store has read the topic of events already, so a file that covers part of it would double "
            "events. Load the file into a new store, then consume."
        )
    if known:
        return state
    if rows == 0:
        raise InputError(f"{EVENTS}: the file holds no event. Expected the account events of all customers.")
    return msgspec.structs.replace(state, files=(*state.files, loading.fingerprint))


def _in_order(table: pl.DataFrame) -> pl.DataFrame:
    name = identifier(table.schema, EVENTS, "customer_id") if "customer_id" in table.columns else pl.lit(None)
    return table.with_row_index("|row").with_columns(pl.col("|row").cast(pl.Int64)).sort(name, maintain_order=True)


def _after(state: State, cleaned: Cleaned, partition: str, done: int) -> State:
    return msgspec.structs.replace(state, positions={**state.positions, partition: done}, kinds=cleaned.kinds)


def _completed(state: State, loading: Loading) -> State:
    since = (
        loading.complete_since if state.complete_since is None else min(state.complete_since, loading.complete_since)
    )
    return msgspec.structs.replace(state, positions={**state.positions, **loading.until}, complete_since=since)

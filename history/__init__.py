"""Each customer's account events, so that applications may come without them: LMDB embedded, or PostgreSQL."""

from history.door import MOST_EVENTS, MOST_IN_RECEIPT, DoorHistories, Histories, Limits
from history.exporting import export_events
from history.ingest import Places, clean
from history.loading import Loading, fingerprint, load_events
from history.opening import create_store, open_store
from history.records import (
    CONTROL,
    NEVER,
    NOBODY,
    RECORD,
    Change,
    Customer,
    Erasure,
    Positions,
    Records,
    Snapshot,
    State,
    Void,
    before,
    kept_as,
    visible,
)
from history.store import HistoryStore, StaleError, window_microseconds
from history.texts import rows

__all__ = [
    "CONTROL",
    "MOST_EVENTS",
    "MOST_IN_RECEIPT",
    "NEVER",
    "NOBODY",
    "RECORD",
    "Change",
    "Customer",
    "DoorHistories",
    "Erasure",
    "Histories",
    "HistoryStore",
    "Limits",
    "Loading",
    "Places",
    "Positions",
    "Records",
    "Snapshot",
    "StaleError",
    "State",
    "Void",
    "before",
    "clean",
    "create_store",
    "export_events",
    "fingerprint",
    "kept_as",
    "load_events",
    "open_store",
    "rows",
    "visible",
    "window_microseconds",
]

"""Each customer's account events, so that applications may come without them: LMDB embedded, or PostgreSQL."""

from history.door import Histories, Limits
from history.loading import load_events
from history.opening import create_store, open_store
from history.store import HistoryStore, StaleError, StoreSettings

__all__ = [
    "Histories",
    "HistoryStore",
    "Limits",
    "StaleError",
    "StoreSettings",
    "create_store",
    "load_events",
    "open_store",
]

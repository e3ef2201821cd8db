"""A store by its address: a folder is LMDB, postgresql://... a server. Either library loads only where it is used."""

import secrets
from pathlib import Path

from features.errors import SettingsError
from features.spec.contract import Spec
from history.records import State
from history.store import HistoryStore, StoreSettings

_SCHEMES = ("postgresql://", "postgres://")
_SALT_BYTES = 16


def create_store(address: str, spec: Spec, map_gib: int | None = None) -> HistoryStore:
    """Make a store for events that are read by this spec.

    Raises:
        SettingsError: something is there already, or the spec has no groups that need events.
        DeliveryError: the disk or the server fails.

    """
    if not spec.groups:
        raise SettingsError(f"spec {spec.name}: has no RFM groups, so its applications need no events and no store.")
    settings = StoreSettings.of(spec, secrets.token_hex(_SALT_BYTES))
    if address.startswith(_SCHEMES):
        from history.postgres_store import PostgresStore  # noqa: PLC0415 - needs the extra `history`

        return PostgresStore.create(address, settings, State())
    from history.lmdb_store import MAP_GIB, LmdbStore  # noqa: PLC0415 - needs the extra `history`

    return LmdbStore.create(Path(address), settings, State(), map_gib or MAP_GIB)


def open_store(address: str) -> HistoryStore:
    """Open a store that exists.

    Raises:
        SettingsError: there is none, or it is unreadable or of a newer release.
        DeliveryError: the server does not answer.

    """
    if address.startswith(_SCHEMES):
        from history.postgres_store import PostgresStore  # noqa: PLC0415 - needs the extra `history`

        return PostgresStore(address)
    from history.lmdb_store import LmdbStore  # noqa: PLC0415 - needs the extra `history`

    return LmdbStore(Path(address))

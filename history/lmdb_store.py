"""The embedded engine: LMDB in a folder on a local disk. Reading never waits for whoever writes.

Beside the tables of `history.lmdb_tables` there is `about`: settings and state.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lmdb
import msgspec

from features.errors import DeliveryError, SettingsError
from history.lmdb_tables import Tables
from history.records import Change, Customer, Snapshot, State, expired
from history.store import StaleError, StoreSettings

DATA = "data.mdb"
MAP_GIB = 512
_READERS = 1024
_NO_ROOM = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EIO)))  # what the library has no class for
_DROPPED = 10_000  # customers that one transaction of `expire` looks at
_state = msgspec.json.Decoder(State).decode
_json = msgspec.json.encode


@contextmanager
def _delivering(where: str) -> Iterator[None]:
    try:
        yield
    except lmdb.Error as error:
        known = isinstance(error, (lmdb.DiskError, lmdb.MapFullError)) or str(error).endswith(_NO_ROOM)
        full = " The disk may be full." if known else ""
        raise DeliveryError(
            f"{where}: the history store cannot be read or written ({type(error).__name__}).{full} Reads go on where "
            "they can; start again when the cause is gone, nothing is lost."
        ) from error


def _open(folder: Path, map_gib: int) -> lmdb.Environment:
    """Open the environment: data is flushed at each commit, the map is sparse and never grows."""
    try:
        return lmdb.open(
            str(folder), map_size=map_gib << 30, max_dbs=4, max_readers=_READERS, metasync=False, max_spare_txns=8
        )
    except lmdb.MemoryError as error:
        raise SettingsError(
            f"{folder}: the address space of this process is limited (ulimit -v) below the {map_gib} GiB that the "
            "store's map takes (no memory: the file is sparse). Raise it, or make the store with --map-gib."
        ) from error
    except lmdb.Error as error:
        raise SettingsError(
            f"{folder}: not readable as a history store ({type(error).__name__}). Expected a folder on a local disk "
            "that `credit history init` made."
        ) from error


class LmdbStore:
    """See `history.store.HistoryStore`."""

    def __init__(self, folder: Path) -> None:
        """Open a store that exists; once a process, after a fork.

        Raises:
            SettingsError: there is none, or it is unreadable or of a newer release.

        """
        self.where = str(folder)
        if not (folder / DATA).is_file():
            raise SettingsError(f"{folder}: no history store. Make one with `credit history init`.")
        gib = folder / "map-gib"
        self._env = _open(folder, int(gib.read_text()) if gib.is_file() else MAP_GIB)
        self._about = self._env.open_db(b"about")
        self._env.reader_check()
        with self._env.begin(db=self._about) as transaction:
            written = transaction.get(b"settings")
        if written is None:
            raise SettingsError(
                f"{folder}: the making of this history store was not completed. Remove it, make it anew."
            )
        self.settings = StoreSettings.read(msgspec.json.decode(written), self.where)
        self._tables = Tables(self._env, self.settings.salt)

    @classmethod
    def create(cls, folder: Path, settings: StoreSettings, state: State, map_gib: int = MAP_GIB) -> "LmdbStore":
        """Make a store in a new or empty folder.

        Raises:
            SettingsError: something is there already.
            DeliveryError: the disk fails.

        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SettingsError(f"{folder}: is not empty. Choose a new folder for the history store.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if map_gib != MAP_GIB:
                (folder / "map-gib").write_text(str(map_gib))
        except OSError as error:
            raise DeliveryError(f"{folder}: cannot be made ({error.strerror}).") from error
        env = _open(folder, map_gib)
        try:
            with _delivering(str(folder)), env.begin(db=env.open_db(b"about"), write=True) as transaction:
                transaction.put(b"settings", _json(settings.document()))
                transaction.put(b"state", _json(state))
        finally:
            env.close()
        return cls(folder)

    def state(self) -> State:
        """Return what the store knows of itself."""
        with _delivering(self.where), self._env.begin(db=self._about) as transaction:
            return self._state(transaction)

    def read(self, customers: Sequence[str]) -> Snapshot:
        """Return what is there of these customers, and the state, as of one instant."""
        with _delivering(self.where), self._env.begin() as transaction:
            found = [self._tables.customer(transaction, customer) for customer in customers]
            return Snapshot(self._state(transaction), found)

    def apply(self, change: Change) -> None:
        """Write events, unusable ones and the new positions, all or nothing."""
        with _delivering(self.where), self._env.begin(write=True) as transaction:
            if self._state(transaction).positions != change.before.positions:
                raise StaleError(f"{self.where}: somebody else writes to this history store. Stop one of both.")
            self._tables.write(transaction, change)
            transaction.put(b"state", _json(change.after), db=self._about)

    def beat(self, heartbeat: float, ends: dict[str, int]) -> None:
        """Note that whoever fills the store is alive."""
        with _delivering(self.where), self._env.begin(write=True, db=self._about) as transaction:
            state = msgspec.structs.replace(self._state(transaction), heartbeat=heartbeat, ends=ends)
            transaction.put(b"state", _json(state))
        self._env.reader_check()

    def everybody(self, after: str = "") -> Iterator[tuple[str, Customer]]:
        """Yield customers in the order of their ids; each in a short transaction of its own."""
        key = after.encode() + b"\x01" if after else b""
        while True:
            with _delivering(self.where), self._env.begin() as transaction:
                key = self._tables.next(transaction, key)
                if not key:
                    return
                name = key.decode()
                customer = self._tables.customer(transaction, name)
            yield name, customer
            key += b"\x01"

    def expire(self, before: int) -> int:
        """Remove events that occurred before an instant, and unusable ones that arrived before it; return how many."""
        gone, key = 0, b""
        with _delivering(self.where), self._env.begin(write=True, db=self._about) as transaction:
            transaction.put(b"state", _json(expired(self._state(transaction), before)))
        while True:
            with _delivering(self.where), self._env.begin(write=True) as transaction:
                for _ in range(_DROPPED):
                    key = self._tables.next(transaction, key)
                    if not key:
                        return gone
                    gone += self._tables.expire(transaction, key, before)
                    key += b"\x01"

    def copy(self, target: Path) -> None:
        """Write a compacted copy, consistent with its positions, into a new folder."""
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SettingsError(f"{target}: is not empty. Choose a new folder for the copy.")
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeliveryError(f"{target}: cannot be made ({error.strerror}).") from error
        with _delivering(str(target)):
            self._env.copy(str(target), compact=True)

    def close(self) -> None:
        """Give everything back."""
        self._env.close()

    def _state(self, transaction: lmdb.Transaction) -> State:
        return _state(transaction.get(b"state", db=self._about) or b"{}")

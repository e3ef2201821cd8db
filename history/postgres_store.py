"""The engine on a PostgreSQL server, which lenders run and back up already: a row an event, in a schema of its own."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DuplicateSchema, InvalidSchemaName, UndefinedTable

from features.errors import DeliveryError, SettingsError
from history.postgres_changes import MAKE, read_erasures, write_change
from history.records import NO_NOTES, NOBODY, RECORD, Change, Customer, Notes, Snapshot, State, expired
from history.store import StaleError, StoreSettings

_READ_S = 2
_CONNECT_S = 5
_EVENTS = (
    "select customer_id, partition, place, occurred_at, recorded_at, amount, kind from credit_history.events {} "
    "order by customer_id, partition, place"
)
_SOME, _FEW = "where customer_id = any(%s)", 2_000
_NOTES_OF = "select * from credit_history.notes where customer_id = any(%s)"
_STATE = "select state from credit_history.about"
_LOCKED = "select state from credit_history.about for update"
_state, _notes = msgspec.json.Decoder(State).decode, msgspec.msgpack.Decoder(Notes).decode
_encode, _json = msgspec.msgpack.encode, msgspec.json.encode
Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresStore:
    """See `history.store.HistoryStore`. Safe to share between threads; they wait for one another."""

    def __init__(self, address: str) -> None:
        """Connect to a store that exists.

        Raises:
            SettingsError: there is none, or it is of a newer release.
            DeliveryError: the server does not answer.

        """
        self._address, self.where = address, _named(address)
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        try:
            with self._transaction() as connection:
                (written,) = _one(connection, "select settings from credit_history.about")
        except (UndefinedTable, InvalidSchemaName) as error:
            self.close()
            raise SettingsError(f"{self.where}: no history store. Make one with `credit history init`.") from error
        self.settings = StoreSettings.read(msgspec.json.decode(written), self.where)

    @classmethod
    def create(cls, address: str, settings: StoreSettings, state: State) -> "PostgresStore":
        """Make a store in a schema of its own.

        Raises:
            SettingsError: there is one already.
            DeliveryError: the server fails.

        """
        where = _named(address)
        try:
            with psycopg.connect(address, connect_timeout=_CONNECT_S) as connection:
                for statement in MAKE:
                    connection.execute(statement)
                row = _json(settings.document()).decode(), _json(state).decode()
                connection.execute("insert into credit_history.about values (1, %s, %s)", row)
        except DuplicateSchema as error:
            raise SettingsError(f"{where}: holds a history store already. Use another database.") from error
        except psycopg.Error as error:
            raise _failed(where, error) from error
        return cls(address)

    def state(self) -> State:
        """Return what the store knows of itself."""
        with self._transaction() as connection:
            return _read_state(connection)

    def read(self, customers: Sequence[str]) -> Snapshot:
        """Return what is there of these customers, and the state, as of one instant."""
        wanted = list(dict.fromkeys(customers))
        with self._transaction() as connection:
            state = _read_state(connection)
            rows = connection.execute(_EVENTS.format(_SOME), (wanted,)).fetchall()
            notes = dict(connection.execute(_NOTES_OF, (wanted,)).fetchall())
            erased = read_erasures(connection, wanted, self.settings.salt)
        events = {name: _records(list(own)) for name, own in groupby(rows, key=lambda row: row[0])}
        found = {
            name: Customer(
                events.get(name, NOBODY.records),
                _notes(notes[name]) if name in notes else NO_NOTES,
                erased.get(name),
            )
            for name in wanted
        }
        return Snapshot(state, [found[name] for name in customers])

    def apply(self, change: Change) -> None:
        """Write events, unusable ones and the new positions, all or nothing."""
        with self._transaction(write=True) as connection:
            if _read_state(connection, lock=True).positions != change.before.positions:
                raise StaleError(f"{self.where}: somebody else writes to this history store. Stop one of both.")
            write_change(connection, change, self.settings.salt)
            _write_state(connection, change.after)

    def beat(self, heartbeat: float, ends: dict[str, int]) -> None:
        """Note that whoever fills the store is alive."""
        with self._transaction(write=True) as connection:
            state = _read_state(connection, lock=True)
            _write_state(connection, msgspec.structs.replace(state, heartbeat=heartbeat, ends=ends))

    def everybody(self, after: str = "") -> Iterator[tuple[str, Customer]]:
        """Yield customers in the order of their ids, all as of one instant."""
        with _own(self._address, self.where) as connection:
            notes = dict(connection.execute("select * from credit_history.notes").fetchall())
            left = sorted(name for name in notes if name > after)
            with connection.cursor("everybody") as cursor:
                cursor.itersize = _FEW
                cursor.execute(_EVENTS.format("where customer_id > %s"), (after,))
                for name, rows in groupby(cursor, key=lambda row: row[0]):
                    while left and left[0] < name:
                        yield left[0], Customer(NOBODY.records, _notes(notes[left.pop(0)]))
                    left = left[1:] if left[:1] == [name] else left
                    yield name, Customer(_records(list(rows)), _notes(notes[name]) if name in notes else NO_NOTES)
            for name in left:
                yield name, Customer(NOBODY.records, _notes(notes[name]))

    def expire(self, before: int) -> int:
        """Remove events that occurred before an instant, and unusable ones that arrived before it; return how many."""
        with self._transaction(write=True) as connection:
            _write_state(connection, expired(_read_state(connection, lock=True), before))
            gone = connection.execute("delete from credit_history.events where occurred_at < %s", (before,)).rowcount
            for name, written in connection.execute("select * from credit_history.notes").fetchall():
                notes = _notes(written)
                kept = [event for event in notes.unusable if event.at >= before]
                gone += len(notes.unusable) - len(kept)
                new = _encode(Notes(kept, notes.voids))
                connection.execute("update credit_history.notes set notes = %s where customer_id = %s", (new, name))
        return gone

    def copy(self, target: Path) -> None:
        """Refuse: a server has tools of its own."""
        raise SettingsError(
            f"{target}: a store on a server is backed up by the server's own tools. Run pg_dump --schema "
            "credit_history; positions and events are of one instant there."
        )

    def close(self) -> None:
        """Give everything back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[Connection]:
        """Run one transaction; a connection that failed is made anew the next time."""
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._address, connect_timeout=_CONNECT_S)
                    self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                with self._connection.transaction():
                    if not write:
                        self._connection.execute(f"set local statement_timeout = '{_READ_S}s'")
                    yield self._connection
            except (UndefinedTable, InvalidSchemaName):
                raise
            except psycopg.errors.SerializationFailure as error:
                raise StaleError(f"{self.where}: somebody else writes to this history store.") from error
            except psycopg.Error as error:
                self.close()
                raise _failed(self.where, error) from error


@contextmanager
def _own(address: str, where: str) -> Iterator[Connection]:
    try:
        with psycopg.connect(address, connect_timeout=_CONNECT_S) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection
    except psycopg.Error as error:
        raise _failed(where, error) from error


def _failed(where: str, error: psycopg.Error) -> DeliveryError:
    return DeliveryError(
        f"{where}: the server cannot be read or written ({type(error).__name__}). Check that it runs and that the role "
        "may write to schema credit_history; starting again is safe."
    )


def _named(address: str) -> str:
    """Name a server without the password."""
    try:
        parts = conninfo_to_dict(address)
    except psycopg.Error as error:
        raise SettingsError("--store: expected postgresql://USER@HOST:PORT/DATABASE.") from error
    return f"postgresql://{parts.get('host', '')}:{parts.get('port', '')}/{parts.get('dbname', '')}"


def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    found = connection.execute(query).fetchone()
    if found is None:
        raise UndefinedTable
    return found


def _read_state(connection: Connection, *, lock: bool = False) -> State:
    (written,) = _one(connection, _LOCKED if lock else _STATE)
    return _state(written)


def _write_state(connection: Connection, state: State) -> None:
    connection.execute("update credit_history.about set state = %s", (_json(state).decode(),))


def _records(rows: list[tuple[Any, ...]]) -> np.ndarray[Any, np.dtype[np.void]]:
    return np.array([row[1:] for row in rows], dtype=RECORD)

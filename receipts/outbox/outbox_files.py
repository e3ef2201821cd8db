"""The files of an outbox, as everybody but the worker that writes them sees them: listed, read, made and removed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.errors import DeliveryError
from receipts.frame import SHADOW
from receipts.log.folder import delivering
from storage.durable import flush

SUFFIX = ".sqlite"
LOCK = ".lock"
_SCHEMA = """
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE made_by (bundle_id TEXT NOT NULL, spec TEXT NOT NULL);
CREATE TABLE receipts (id INTEGER PRIMARY KEY, line BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Maker:
    """The bundle whose decisions an outbox holds, with the text of its spec, so that sealing needs no bundle."""

    bundle_id: str
    spec: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a look into a file that may still be written to found: the lines with some text, and how many it has."""

    made_by: Maker
    lines: list[bytes]
    rows: int


def is_of_challenger(folder: Path) -> bool:
    """Tell whether a writer's outbox holds what a challenger would have decided."""
    return folder.name.startswith(f"{SHADOW}-")


def files_of(folder: Path) -> list[Path]:
    """Return the files of a writer's outbox in their order."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.name[:8].isdigit())


def read_file(path: Path) -> tuple[Maker | None, list[bytes]]:
    """Return who made a file and its receipts in order; None where its worker died before it was ready.

    Raises:
        DeliveryError: it is damaged or cannot be read.

    """
    with using(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'receipts'").fetchone() == (0,):
            return None, []
        lines = [bytes(line) for (line,) in connection.execute("SELECT line FROM receipts ORDER BY id")]
        return _maker(connection), lines


def look_into(path: Path, text: bytes) -> Found:
    """Return the receipts of a file that hold some bytes, without changing it or holding up who writes to it.

    Raises:
        DeliveryError: it is gone, damaged, or cannot be read.

    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    with using(path), closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        lines = connection.execute("SELECT line FROM receipts WHERE instr(line, ?) ORDER BY id", (text,))
        found = [bytes(line) for (line,) in lines]
        return Found(_maker(connection), found, *connection.execute("SELECT count(*) FROM receipts").fetchone())


def _maker(connection: sqlite3.Connection) -> Maker:
    return Maker(*connection.execute("SELECT bundle_id, spec FROM made_by").fetchone())


def make_file(path: Path, made_by: Maker) -> None:
    """Make a file without receipts."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO made_by VALUES (?, ?)", (made_by.bundle_id, made_by.spec))
        connection.execute("COMMIT")


def remove_file(path: Path) -> None:
    """Remove a file of an outbox, durably, so that a crash of the machine cannot bring it back.

    Raises:
        DeliveryError: the folder cannot be written to.

    """
    with delivering(path):
        for name in (f"{path.name}-wal", f"{path.name}-shm", path.name):
            path.with_name(name).unlink(missing_ok=True)
        flush(path.parent)


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Turn errors of the disk or the database within the block into one that says what could not be done.

    Raises:
        DeliveryError: so.

    """
    try:
        with delivering(path):
            yield
    except sqlite3.Error as error:
        raise DeliveryError(
            f"{path}: the outbox of receipts could not be used ({error}). Nothing is answered without its receipt. "
            "Check room and permissions."
        ) from error

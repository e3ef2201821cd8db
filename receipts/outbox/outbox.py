"""The outbox of one REST worker: receipts that are durable before the answer goes out, until they are sealed.

LOG/outbox/<writer>/.lock                      held by the worker while it lives; the kernel frees it however it ends
LOG/outbox/<writer>/00000007-1f0c9a2e.sqlite   receipts in order; the worker writes to the last file only

A file gets receipts until it is old or large enough, then the next one is begun, and from then on nobody writes to it:
the sealer turns it into one segment and removes it. So a file is complete if a later one is there, or if its worker is
dead. Names are never used twice, and the segment's manifest holds the name, so that no receipt is sealed twice.
"""

import re
import secrets
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from features.errors import DeliveryError, SettingsError
from receipts.log.folder import delivering
from receipts.outbox.outbox_files import LOCK, SUFFIX, Maker, files_of, make_file, remove_file, using
from scoring.doors import REST
from storage.durable import PART, flush
from storage.locks import BusyError, Lock

_SLOTS = 1_000
_STRANGE = re.compile(r"[^A-Za-z0-9.-]+")
_MOST_OPEN = 64
_PRAGMAS = """
PRAGMA wal_autocheckpoint = 0;
PRAGMA synchronous = {synchronous};
"""


class Outbox:
    """What one worker writes to. Not to be shared between threads without a lock, but for `prepare` and `let_go`."""

    def __init__(self, root: Path, made_by: Maker, *, durable: bool, door: str = REST.name) -> None:
        """Take the lowest free writer of this host and door under `root`, and begin a file.

        `durable`: receipts are on the disk when `append` returns; else a crash of the machine may lose the last ones.

        Raises:
            DeliveryError: the disk is full or fails.
            SettingsError: all writers are taken.

        """
        self.made_by, self._synchronous = made_by, "FULL" if durable else "NORMAL"
        self._resources = ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._ended: list[tuple[Path, sqlite3.Connection]] = []
        self._prepared: tuple[Maker, Path] | None = None
        self.folder = _claim(root, door, self._resources)
        self.begin()

    def prepare(self) -> None:
        """Make the next file, which takes several flushes; nothing is written to it before `begin`.

        Raises:
            DeliveryError: the disk is full or fails.

        """
        if self._prepared is None:
            made_by = self.made_by
            self._prepared = made_by, self._next_file(made_by)

    def _next_file(self, made_by: Maker) -> Path:
        part = self.folder / f".{secrets.token_hex(4)}{PART}"
        try:
            with using(part):
                make_file(part, made_by)
        except DeliveryError:
            remove_file(part)
            raise
        return part

    def begin(self, made_by: Maker | None = None) -> None:
        """Begin the next file, for decisions of `made_by` from now on; the one before is complete from here on.

        Raises:
            DeliveryError: the disk is full or fails; nothing can be appended until this succeeds.

        """
        self._end_file()
        self.made_by = made_by or self.made_by
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared[0] != self.made_by:  # made before a change of bundles
            remove_file(prepared[1])
            prepared = None
        part = prepared[1] if prepared is not None else self._next_file(self.made_by)
        last = max([int(path.name[:8]) for path in files_of(self.folder)], default=0)
        self.path = self.folder / f"{last + 1:08}-{secrets.token_hex(4)}{SUFFIX}"
        self.rows, self.bytes = 0, 0
        with using(self.path):
            part.rename(self.path)
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            connection.executescript(_PRAGMAS.format(synchronous=self._synchronous))
            flush(self.folder)
            self._connection = connection

    def append(self, lines: Sequence[bytes]) -> None:
        """Commit receipts together; when this returns they are durable.

        Raises:
            DeliveryError: the disk is full or fails. Whether they are there is unknown; `begin` before the next.

        """
        if self._connection is None:
            raise DeliveryError(f"{self.folder}: no outbox is open. Check room and permissions.")
        with using(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO receipts (line) VALUES (?)", [(line,) for line in lines])
            self._connection.execute("COMMIT")
        self.rows += len(lines)
        self.bytes += sum(map(len, lines))

    def let_go(self) -> None:
        """Close files that were sealed and removed; another thread may end one meanwhile."""
        for one in [one for one in self._ended if not one[0].exists()]:
            try:
                self._ended.remove(one)
            except ValueError:  # closed there, since there are too many
                continue
            connection = one[1]
            connection.execute("PRAGMA synchronous = OFF")  # what closing would still write is sealed already
            connection.close()

    def close(self) -> None:
        """End the file and free the writer: whoever seals takes all that is there."""
        self._end_file()
        for _, connection in self._ended:
            connection.close()
        self._ended.clear()
        self._resources.close()

    def _end_file(self) -> None:
        """Closing would move receipts from the write-ahead log to the file, and answers would wait for that disk."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.rollback()  # of what could not be committed
            self._ended.append((self.path, connection))
            if len(self._ended) > _MOST_OPEN:
                self._ended.pop(0)[1].close()


def _claim(root: Path, door: str, resources: ExitStack) -> Path:
    host = _STRANGE.sub("-", socket.gethostname()).strip(".-")[:80] or "host"
    for number in range(_SLOTS):
        folder = root / f"{door}-{host}-{number}"
        with delivering(root):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)  # personal data is keyed when it is sealed
            folder.mkdir(exist_ok=True)
            flush(root)
        try:
            resources.enter_context(Lock(folder / LOCK))
        except BusyError:
            continue
        for left in folder.glob(f".*{PART}*"):
            left.unlink()
        return folder
    raise SettingsError(f"{root}: all {_SLOTS} writers of this host are taken. End other workers.")

"""The process that seals: it turns the outboxes of all workers into segments, at the lowest priority.

A process of its own, so that no request waits for it. It ends when whoever started it closes the pipe or dies, after a
last pass over what is left; if it dies, it is started again.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from api.logs import JsonLog
from features.errors import CreditError
from receipts.chain import Head
from receipts.sealer import seal_outboxes

_PASS_SECONDS = 1.0
_LAST_PASS_SECONDS = 60.0
_SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def sealing(log: Path | None, pii_key: bytes | None) -> Iterator[None]:
    """Seal what workers leave in the outboxes of a log while the block runs, and at its end; None: there is no log."""
    if log is None:
        yield
        return
    keeper = _Keeper(log, pii_key)
    try:
        yield
    finally:
        keeper.stop()


class _Keeper:
    """Keeps one sealer running."""

    def __init__(self, log: Path, pii_key: bytes | None) -> None:
        self._log, self._pii_key, self._stopping = log, pii_key, threading.Event()
        self._process, self._pipe = _start(log, pii_key)
        self._thread = threading.Thread(target=self._keep, name="sealer-keeper", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._stopping.wait(_PASS_SECONDS):
            if not self._process.is_alive():
                self._pipe.close()
                self._process, self._pipe = _start(self._log, self._pii_key)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._pipe.close()
        self._process.join(_LAST_PASS_SECONDS)


def _start(log: Path, pii_key: bytes | None) -> tuple[SpawnProcess, Connection]:
    theirs, ours = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=run_sealer, args=(log, pii_key, theirs), name="credit-sealer")
    process.start()
    theirs.close()
    return process, ours


def run_sealer(log: Path, pii_key: bytes | None, pipe: Connection) -> None:
    """Make a pass now and then until the pipe is closed, and one more."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # workers get them at the same time, and go first
    os.nice(19)
    said = _Said(JsonLog(sys.stderr, time.time))
    while not wait([pipe], _PASS_SECONDS):
        seal_outboxes(log, pii_key, said.sealed, said.failed)
    seal_outboxes(log, pii_key, said.sealed, said.failed)


class _Said:
    """Logs each segment with its hash, to be kept elsewhere, and each new trouble of a writer."""

    def __init__(self, log: JsonLog) -> None:
        self._log = log
        self._troubles: dict[str, str] = {}

    def sealed(self, head: Head) -> None:
        self._troubles.pop(head.writer, None)
        self._log.write("sealed", writer=head.writer, number=head.number, rows=head.rows, hash=head.hash)

    def failed(self, writer: str, error: CreditError) -> None:
        if self._troubles.get(writer) != str(error):
            self._troubles[writer] = str(error)
            self._log.write("not_sealed", writer=writer, error=type(error).__name__, message=str(error))

"""The process that seals: it turns the outboxes of all workers into segments while nobody else wants the core.

A process of its own, so that no request waits for it. If it dies, it is started again; if it falls behind because it is
left no core, at the lowest ordinary priority. At the end it is killed, which is safe, and whoever started it makes the
last pass; if that one died, it makes the last pass itself.
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

from features.errors import CreditError
from receipts.log import Head
from receipts.outbox import seal_outboxes, waiting_since
from serving.json_log import JsonLog

__all__ = ["sealing"]

_PASS_SECONDS = 1.0
_BEHIND_SECONDS = 30.0
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
        self._idle = hasattr(os, "SCHED_IDLE")  # on Linux
        self._start()
        self._thread = threading.Thread(target=self._keep, name="sealer-keeper", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        theirs, self._pipe = _SPAWN.Pipe(duplex=False)
        arguments = (self._log, self._pii_key, theirs, self._idle)
        self._process: SpawnProcess = _SPAWN.Process(target=run_sealer, args=arguments, name="credit-sealer")
        self._process.start()
        theirs.close()

    def _keep(self) -> None:
        while not self._stopping.wait(_PASS_SECONDS):
            if self._idle and time.time() - waiting_since(self._log) > _BEHIND_SECONDS:
                self._idle = False
                self._end()
            if not self._process.is_alive():
                self._pipe.close()
                self._start()

    def _end(self) -> None:
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._end()
        self._pipe.close()
        said = _Said(JsonLog(sys.stderr, time.time))
        seal_outboxes(self._log, self._pii_key, said.sealed, said.failed)


def run_sealer(log: Path, pii_key: bytes | None, pipe: Connection, idle: bool) -> None:  # noqa: FBT001 - of a process
    """Make a pass now and then until the pipe is closed, and one more. `idle`: only while nobody wants the core."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # workers get them at the same time, and go first
    os.nice(19)
    if idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
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

"""Several workers behind one socket: one that dies is started again; a stop lets each finish what it accepted.

The socket is bound once and shared, so connections that wait in its queue outlive the death of one worker. SIGHUP goes
on to each.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from features.errors import CreditError
from monitoring.live import forget_worker
from serving.json_log import JsonLog

__all__ = ["Supervisor"]

_MOST_FAILED_STARTS = 3
_LONGEST_PAUSE_SECONDS = 5.0
_SPAWN = multiprocessing.get_context("spawn")
Work = Callable[[socket.socket, JsonLog, Callable[[], None]], None]


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    ready_pipe: Connection
    ready: bool = False


@dataclass(slots=True)
class Supervisor:
    """Keeps `workers` processes running until SIGTERM or SIGINT; each calls `work`, which goes to it by `spawn`."""

    work: Work
    workers: int
    stop_seconds: float
    listener: socket.socket
    log: JsonLog
    on_ready: Callable[[], None]
    _workers: list[_Worker] = field(default_factory=list)
    _stopping: bool = False
    _announced: bool = False
    _failed_starts: int = 0

    def run(self) -> int:
        """Return the exit code: 0 after a stop on request, else that of workers that cannot start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        code = 0
        while not self._stopping and not code:
            while len(self._workers) < self.workers:
                self._start()
            code = self._watch()
        self._end()
        return code

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Workers that are not ready would end by the signal, and look anyway once they are."""
        for worker in list(self._workers):
            if worker.ready and worker.process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)

    def _start(self) -> None:
        ours, theirs = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_child, args=(self.work, self.listener, theirs), name="credit-worker")
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _watch(self) -> int:
        """Wait for news of the workers; return the exit code to end with, or 0 to go on."""
        starting = [worker.ready_pipe for worker in self._workers if not worker.ready]
        wait([*starting, *[worker.process.sentinel for worker in self._workers]], timeout=0.2)
        for worker in list(self._workers):
            if not worker.ready and worker.ready_pipe.poll():
                self._note_ready(worker)
            if not worker.process.is_alive() and not self._stopping:
                self._workers.remove(worker)
                code = self._note_death(worker)
                if code:
                    return code
        return 0

    def _note_ready(self, worker: _Worker) -> None:
        try:
            worker.ready_pipe.recv_bytes()
        except EOFError:  # it died before it was ready
            return
        worker.ready = True
        self._failed_starts = 0
        self.log.write("worker_ready", pid=worker.process.pid)
        if not self._announced:
            self._announced = True
            self.on_ready()

    def _note_death(self, worker: _Worker) -> int:
        code = worker.process.exitcode or 0
        self.log.write("worker_died", pid=worker.process.pid, exit=code, was_ready=worker.ready)
        forget_worker(worker.process.pid or 0)
        if worker.ready:
            return 0
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS and not any(w.ready for w in self._workers):
            return code if code > 0 else 1
        time.sleep(min(0.1 * 2**self._failed_starts, _LONGEST_PAUSE_SECONDS))
        return 0

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self.stop_seconds + 2
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()


def _child(work: Work, listener: socket.socket, ready_pipe: Connection) -> None:
    """Run a worker in a process of its own; it ends when its supervisor does."""
    log = JsonLog(sys.stderr, time.time)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(listener, log, lambda: ready_pipe.send_bytes(b"ready"))
    except CreditError as error:
        log.write("worker_failed", error=type(error).__name__, message=str(error))
        sys.exit(error.exit_code)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

"""Receipts of a worker: each round's are durable before its answers go out. No receipt, no decision.

1. keep     one commit for all receipts of a round, by the thread that scores; a failure refuses the round's decisions
2. refuse   from then on requests get 503 at once, and /readyz says why
3. mend     a thread begins a new outbox until that succeeds; then requests are taken again
The same thread begins the next file when the present one is old or large enough, so that it gets sealed. A file holds
receipts of one bundle: those of another begin the next one.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from features.errors import DeliveryError
from receipts.lines import line_head, line_source, receipt_line
from receipts.outbox import Maker, Outbox, files_of, is_of_challenger
from serving.fair_queue import Answered
from serving.json_log import JsonLog

__all__ = ["Recorder"]

_TICK_SECONDS = 0.5
_FILE_BYTES = 32 << 20


class CountsReceipts(Protocol):
    """What counts receipts: the metrics of a door."""

    def receipts(self, count: int) -> None:
        """Count receipts that were written."""

    def outbox(self, *, sealed: int, waiting: int, failing: bool) -> None:
        """Count receipts that were sealed since the last call, and note how many wait."""


class Watched(Protocol):
    """Where a door says what becomes of receipts."""

    @property
    def log(self) -> JsonLog:
        """The log of the worker."""

    @property
    def metrics(self) -> CountsReceipts:
        """The metrics of the worker."""


class Recorder:
    """Writes the receipts of one worker of the door `door`. Safe to share between threads."""

    def __init__(
        self,
        door: str,
        outbox: Outbox,
        seal_seconds: float,
        clock: Callable[[], float],
        watch: Watched,
    ) -> None:
        """Take an open outbox; a file is complete after `seal_seconds`, or when it is large. `clock`: since 1970.

        In the outbox of a challenger receipts are of the kind `shadow`.
        """
        self._shadow = is_of_challenger(outbox.folder)
        self._door, self._log, self._metrics = door, watch.log, watch.metrics
        self._outbox, self._seal_seconds, self._clock = outbox, seal_seconds, clock
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._waiting: dict[str, int] = {}  # complete files that are not sealed yet, and how many receipts each has
        self.failing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="outbox", daemon=True)
        self._thread.start()

    def keep(self, answered: Sequence[Answered], made_by: Maker | None = None) -> None:
        """Commit the receipts of decisions; those of refusals do not exist. `made_by` None: by the bundle before.

        Raises:
            DeliveryError: they could not be; nothing is taken until that is mended.

        """
        now = self._clock()
        heads = [line_head(self._door, now, more=more, shadow=self._shadow) for more in (False, True)]
        lines = [line for one in answered for line in _lines(one, heads)]
        with self._lock:
            try:
                if made_by not in (None, self._outbox.made_by):
                    self._begin(made_by)
                self._outbox.append(lines)
            except DeliveryError as error:
                self._fail(error)
                raise
            self._metrics.receipts(len(lines))

    def close(self) -> None:
        """Complete what is there and free the writer, so that all of it can be sealed."""
        self._ended.set()
        self._thread.join()
        self._outbox.close()

    def _tend(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            old = time.monotonic() - self._began > self._seal_seconds
            if self.failing or (self._outbox.rows and (old or self._outbox.bytes > _FILE_BYTES)):
                with suppress(DeliveryError):
                    self._outbox.prepare()
                with self._lock, suppress(DeliveryError):
                    self._begin()
            with self._lock:
                self._count()
            self._outbox.let_go()

    def _begin(self, made_by: Maker | None = None) -> None:
        self._waiting[self._outbox.path.name] = self._outbox.rows  # once, however often the next cannot be begun
        try:
            self._outbox.begin(made_by)
        except DeliveryError as error:
            self._fail(error)
            raise
        self._began = time.monotonic()
        if self.failing:
            self.failing = False
            self._log.write("receipts_written_again")

    def _fail(self, error: DeliveryError) -> None:
        if not self.failing:
            self.failing = True
            self._log.write("receipts_unwritable", message=str(error))

    def _count(self) -> None:
        """A file that is gone was sealed."""
        there = {path.name for path in files_of(self._outbox.folder)}
        gone = sum(rows for name, rows in self._waiting.items() if name not in there)
        self._waiting = {name: rows for name, rows in self._waiting.items() if name in there}
        current = 0 if self._outbox.path.name in self._waiting else self._outbox.rows
        waiting = sum(self._waiting.values()) + current
        self._metrics.outbox(sealed=gone, waiting=waiting, failing=self.failing)


def _lines(one: Answered, heads: Sequence[bytes]) -> Iterator[bytes]:
    for row, (message, answer) in enumerate(zip(one.messages, one.answers, strict=True), start=1):
        if answer.refusal is None:
            where = f'{{"request_id":"{one.request_id}","row":{row}}}'.encode()
            head = heads[bool(one.headers) or answer.history is not None]
            yield receipt_line(head, line_source(where, one.headers), message, answer)

"""Calls of the client library with an end, also where the library itself hangs.

Seen with librdkafka 2.15 (its issues 5456 and 5511): `send_offsets_to_transaction` never returns, whatever its own
time limit, once the broker that coordinated the group has left the cluster's metadata: the request waits for a
connection that nobody makes any more. A worker stood still until its watchdog ended it, 90 s after a coordinator's
`kill -9` or SIGTERM.
"""

import queue
import threading
from collections.abc import Callable

from stream.client.errors import FatalError


class Bounded:
    """A thread that makes calls one after another; one that does not return is left behind with its thread."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long a call may take, well above its own limit."""
        self._seconds = seconds
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._hanging = ""
        threading.Thread(target=self._serve, name="calls", daemon=True).start()

    def __call__(self, doing: str, call: Callable[[], None]) -> None:
        """Make a call, and raise what it raises.

        Raises:
            FatalError: it has not returned, or an earlier one has not: whatever it was made on is of no use any more.

        """
        if not self._hanging:
            self._calls.put(call)
            try:
                raised = self._answers.get(timeout=self._seconds)
            except queue.Empty:
                self._hanging = f"{doing}: the client library has not returned for {self._seconds:.0f} s"
            else:
                if raised is not None:
                    raise raised
                return
        raise FatalError(self._hanging)

    def end(self) -> None:
        """Let the thread end, once what it does has returned."""
        self._calls.put(_end)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not _end:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread; here it would be lost
                self._answers.put(error)
            else:
                self._answers.put(None)


def _end() -> None:
    """Mark the end of calls."""

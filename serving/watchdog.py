"""The watchdog: ends the process when one batch passes its deadline, so that nothing stalls a partition for ever."""

import os
import sys
import threading
from collections.abc import Callable, Collection

__all__ = ["LEAVE_S", "Watchdog"]

EXIT_CODE = 5
LEAVE_S = 1.0
_TICK_S = 0.1


def end_process(message: str) -> None:
    """End at once, without clean-up, which could hang as well. Nothing is committed, so starting again is safe."""
    sys.stderr.write(f"error: {message}\n")
    sys.stderr.flush()
    os._exit(EXIT_CODE)


class Watchdog:
    """Counts its own ticks since the last sign of life, so that time in which the whole process stood still is none."""

    def __init__(self, deadline_s: float, end: Callable[[str], None] = end_process) -> None:
        """`deadline_s`: how long one step of the loop may take. Not started yet."""
        self._deadline_s, self._end = deadline_s, end
        self._doing, self._ticks_left, self._ending = "start", self._ticks(deadline_s), False
        self._leave: Callable[[], None] = _nothing
        self._leave_in: frozenset[str] = frozenset()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def leave_first(self, leave: Callable[[], None], steps: Collection[str]) -> None:
        """Have the group left before the process is ended in one of these steps, so that others take over at once."""
        self._leave, self._leave_in = leave, frozenset(steps)

    def alive(self, doing: str) -> None:
        """Note a sign of life, and what is done next."""
        self._doing = doing
        if not self._ending:
            self._ticks_left = self._ticks(self._deadline_s)

    def standing_s(self) -> float:
        """Return for how many seconds there has been no sign of life."""
        return (self._ticks(self._deadline_s) - self._ticks_left) * _TICK_S

    def last_steps(self, seconds: float) -> None:
        """Allow no more than this from now on, signs of life or not: the process was asked to end."""
        self._ending, self._deadline_s = True, seconds
        self._ticks_left = min(self._ticks_left, self._ticks(seconds))

    def stop(self) -> None:
        """End watching."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_TICK_S):
            self._ticks_left -= 1
            if self._ticks_left <= 0:
                doing = self._doing
                if doing in self._leave_in:
                    leaving = threading.Thread(target=self._leave, name="leave", daemon=True)
                    leaving.start()
                    leaving.join(LEAVE_S)
                self._end(
                    f"watchdog: no progress for {self._deadline_s:.0f} s in the step '{doing}'. The process ends "
                    "without committing; start it again, the batch is read anew."
                )
                return

    @staticmethod
    def _ticks(seconds: float) -> int:
        return max(1, round(seconds / _TICK_S))


def _nothing() -> None:
    """Leave no group."""

"""A sliding window of counts in memory of fixed size, which the workers of one door share as files.

The window consists of slots. Once the newest has its share of decisions, the oldest is emptied and becomes the newest:
so the window always holds the last `decisions` decisions, and up to a tenth more.
"""

import contextlib
import os
from pathlib import Path

import numpy as np

from monitoring.live.live_counts import Counts

_SLOTS = 10
_PREFIX, _SUFFIX = "live-", ".counts"


class SharedWindow:
    """Counts of one worker: the slots, and behind them the counts since the start. Not safe between threads."""

    def __init__(self, width: int, decisions: int, folder: Path | None, name: str = "") -> None:
        """Begin at zero. `folder`: where the workers of one door put their counts; None: there is one worker.

        Those of one `name` add up: a worker that serves another bundle already, or still, counts other things.
        """
        shape = (_SLOTS + 2, width)
        self._folder, self._prefix = folder, f"{_PREFIX}{name}-"
        self._counts: Counts = (
            np.zeros(shape, np.int64)
            if folder is None
            else np.memmap(folder / f"{self._prefix}{os.getpid()}{_SUFFIX}", np.int64, "w+", shape=shape)
        )
        self._slot, self._filled, self._slot_size = 0, 0, max(1, decisions // _SLOTS)

    def room(self) -> int:
        """Return how many decisions fit into the newest slot."""
        return self._slot_size - self._filled

    def add(self, counts: Counts, decisions: int) -> None:
        """Add counts of so many decisions, at most `room()`."""
        self._counts[self._slot] += counts
        self._counts[-1] += counts
        self._filled += decisions
        if self._filled >= self._slot_size:
            self._slot, self._filled = (self._slot + 1) % (_SLOTS + 1), 0
            self._counts[self._slot] = 0

    def totals(self) -> tuple[Counts, Counts]:
        """Return the counts of the window and those since the start, of all workers; the window of living ones only."""
        if self._folder is None:
            return self._counts[:-1].sum(axis=0), self._counts[-1].copy()
        window, ever = np.zeros_like(self._counts[-1]), np.zeros_like(self._counts[-1])
        for path in sorted(self._folder.glob(f"{self._prefix}*{_SUFFIX}")):
            found = np.fromfile(path, np.int64)
            if found.size == self._counts.size:  # else a worker that is just starting
                found = found.reshape(self._counts.shape)
                ever += found[-1]
                if _lives(int(path.name[len(self._prefix) : -len(_SUFFIX)])):
                    window += found[:-1].sum(axis=0)
        return window, ever


def _lives(pid: int) -> bool:
    with contextlib.suppress(PermissionError):  # it lives, under another user
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True

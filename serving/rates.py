"""A token bucket per key: so many applications a second, and as many at once. Per worker process."""

import math
import threading
from collections.abc import Callable

__all__ = ["RateLimit"]


class RateLimit:
    """Counts applications per key. Only known keys are counted, so memory does not grow with attacks."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        """Allow `per_second` applications a second for each key; 0 means no limit."""
        self._rate = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> int:
        """Count one application; return 0, or the seconds after which to try again, and then it was not counted."""
        return self._take(key, 1, least=1)

    def charge(self, key: str, more: int) -> int:
        """Count the further applications of a request that was let in; return as `wait` does.

        A batch may take more than is left, if nothing is owed for one before it; then the key waits for longer.
        """
        return self._take(key, more, least=0)

    def _take(self, key: str, count: int, least: float) -> int:
        if not self._rate:
            return 0
        burst = max(1.0, self._rate)
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.get(key, (burst, now))
            tokens = min(burst, tokens + (now - since) * self._rate)
            if tokens >= least:
                self._buckets[key] = (tokens - count, now)
                return 0
            self._buckets[key] = (tokens, now)
        return math.ceil((max(1, least) - tokens) / self._rate)

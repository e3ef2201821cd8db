"""A token bucket per key: so many requests a second, and as many at once. Per worker process."""

import math
import threading
from collections.abc import Callable


class RateLimit:
    """Counts requests per key. Only known keys are counted, so memory does not grow with attacks."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        """Allow `per_second` requests a second for each key; 0 means no limit."""
        self._rate = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> int:
        """Count one request; return 0, or the seconds after which to try again, and then it was not counted."""
        if not self._rate:
            return 0
        burst = max(1.0, self._rate)
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.get(key, (burst, now))
            tokens = min(burst, tokens + (now - since) * self._rate)
            if tokens >= 1:
                self._buckets[key] = (tokens - 1, now)
                return 0
            self._buckets[key] = (tokens, now)
        return math.ceil((1 - tokens) / self._rate)

"""A worker that is given no partition speaks, and ends where it was to end when idle: the client says nothing of it."""

import logging
import time
from collections.abc import Callable

from features.errors import DeliveryError

log = logging.getLogger(__name__)

SPEAK_S = 30.0
_AGAIN_S = 300.0
CAUSES = (
    "Likely causes: more workers than partitions (the others serve); brokers before 4.0 and --group-protocol consumer; "
    "a static id (group.instance.id) that another worker holds or held within the session; no right to read the group "
    "or the topic (see docs/who-may-write.md); a group whose coordinator is away"
)


class Unassigned:
    """Counts how long a worker has had no partition."""

    def __init__(self, topic: str, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to count."""
        self._of, self._clock = f"no partition of {topic} in the group {group}", clock
        self._since = clock()
        self._next = self._since + SPEAK_S

    def look(self, *, given: bool, stop_when_idle_s: float | None = None) -> float:
        """Say so when it is due; return for how many seconds there has been none. `given`: there is one now.

        Raises:
            DeliveryError: there was none for long, and the worker is to end when idle.

        """
        now = self._clock()
        if given:
            self._since, self._next = now, now + SPEAK_S
            return 0.0
        for_s = now - self._since
        if stop_when_idle_s is not None and for_s > max(SPEAK_S, stop_when_idle_s):
            raise DeliveryError(f"{self._of} for {for_s:.0f} s: nothing was read. {CAUSES}.")
        if now >= self._next:
            self._next = now + _AGAIN_S
            log.warning("%s for %.0f s. %s.", self._of, for_s, CAUSES)
        return for_s

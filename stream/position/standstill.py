"""Partitions whose messages do not come though the brokers have them, as when the client library stops reading one."""

import logging
import time
from collections.abc import Callable, Collection, Mapping

from features.errors import DeliveryError
from stream.client.records import Target
from stream.position.position import Ends

log = logging.getLogger(__name__)

_ASK_S = 5.0


class Standstill:
    """Compares where the brokers say that partitions end with what the client has heard of it while it reads them."""

    def __init__(self, topic: str, ends: Ends, patience_s: float, ask_s: float = _ASK_S) -> None:
        """`patience_s`: how long a partition may stand still; counted in answers, so that time asleep is none."""
        self._topic, self._ends, self._ask_s = topic, ends, ask_s
        self._most = max(2, round(patience_s / ask_s))
        self._next = time.monotonic()
        self.aside: dict[int, int] = {}
        self._opened: dict[Target, int] = {}  # where transactions of producers were open at the last look
        self._told: dict[Target, int] = {}
        self._unheard: dict[int, tuple[int, int]] = {}  # an end that was not heard of, and in how many answers running

    def look(self, partitions: Collection[int], heard: Callable[[int], int], aside: Collection[int] = ()) -> None:
        """Ask when it is due. `heard`: the end of a partition as far as the client has heard by reading it.

        `aside`: partitions that are not read now; where they end is kept in the field of that name.

        Raises:
            DeliveryError: a partition has been standing still for too long.

        """
        if time.monotonic() < self._next:
            return
        targets = [(self._topic, p) for p in (*partitions, *aside)]
        try:
            ends = self._ends(targets, committed=True)
            self._tell_open(ends, self._ends(targets, committed=False))
        except DeliveryError:  # the brokers are away; asked again
            return
        finally:
            self._next = time.monotonic() + self._ask_s
        self.aside = {p: end for (_, p), end in ends.items() if p in aside}
        self._unheard = {p: self._after(p, end, heard(p)) for (_, p), end in ends.items() if p not in aside}
        still = [p for p, (_, answers) in self._unheard.items() if answers > self._most]
        if still:
            raise DeliveryError(
                f"{self._topic} partitions {still}: there are messages, but none has come for "
                f"{self._most * self._ask_s:.0f} s. Nothing is lost; start again, which reads on."
            )

    def _tell_open(self, committed: Mapping[Target, int], ends: Mapping[Target, int]) -> None:
        """Log, once, a producer's transaction that was open at the last look as well: its readers wait for its end."""
        opened = {target: at for target, at in committed.items() if at < ends.get(target, at)}  # a leader may be away
        for (topic, p), at in opened.items():
            if self._opened.get((topic, p)) == at and self._told.get((topic, p)) != at:
                self._told[topic, p] = at
                log.warning(
                    "%s partition %s: an open transaction of a producer holds back what follows offset %s (%s records "
                    "so far); `credit stream status` says how to find and end it",
                    *(topic, p, at, ends[topic, p] - at),
                )
        self._opened = opened

    def _after(self, partition: int, end: int, heard: int) -> tuple[int, int]:
        known, answers = self._unheard.get(partition, (0, 0))
        return (end, 0) if max(0, heard) >= known else (known, answers + 1)

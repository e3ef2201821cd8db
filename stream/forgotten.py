"""Transactions that the brokers count as ended but never ended in some partitions (see `stream.position`).

There, readers of committed records wait for ever, and the group's offset stays undecided. Only the producer that wrote
the transaction can end it, so each worker looks after it may have happened: at its start, after a rebalance (a broker
that was away causes one) and after a transaction that failed.
"""

import time
from collections.abc import Callable, Sequence

from features.errors import DeliveryError
from stream.position import Ends
from stream.records import Target

OTHERS_S = (
    30.0  # a transaction that its worker left open ends by itself: after its timeout of 15 s, looked for each 10 s
)
_OWN_S = 2.0
_ASK_S = 0.5


class Forgotten:
    """Finds partitions of the targets that an open transaction holds back for too long."""

    def __init__(
        self,
        targets: Sequence[Target],
        ends: Ends,
        offsets_settled: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        others_s: float = OTHERS_S,
    ) -> None:
        """Begin with a look, since a predecessor of the same transactional id may have left something.

        `offsets_settled`: whether no open transaction holds back one of the group's offsets. `others_s`: how long one
        that another worker left open may last.
        """
        self._targets, self._ends, self._offsets_settled, self._clock = targets, ends, offsets_settled, clock
        self._rebalances, self._others_s, self._grace_s = 0, others_s, others_s
        self._before: dict[Target, int] = {}
        self._since: float | None = clock()
        self._next = clock()

    def suspect_own(self) -> None:
        """Look soon, since a transaction of this producer failed: it has none open now."""
        self._suspect(_OWN_S)

    def held(self, rebalances: int) -> list[Target] | None:
        """Return which targets have been held back for too long, none if only offsets are; None: nothing is to be done.

        `rebalances`: how many there were.
        """
        if rebalances != self._rebalances:
            self._rebalances = rebalances
            self._suspect(self._others_s)
        now = self._clock()
        if self._since is None or now < self._next:
            return None
        self._next = now + _ASK_S
        try:
            held = self._held_back()
            if not held and self._offsets_settled():
                self._since = None
        except DeliveryError:  # the brokers are away; asked again
            return None
        if self._since is None or now - self._since < self._grace_s:
            return None
        self._suspect(self._grace_s)
        return held

    def _suspect(self, grace_s: float) -> None:
        self._grace_s, self._before = grace_s, {}
        self._since = self._next = self._clock()

    def _held_back(self) -> list[Target]:
        if not self._before:
            self._before = self._ends(self._targets, committed=False)
        ends = self._ends(self._targets, committed=True)
        return [target for target in self._targets if ends[target] < self._before[target]]

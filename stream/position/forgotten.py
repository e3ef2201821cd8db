"""Transactions that the brokers count as ended but never ended in some partitions (see `stream.position`).

There, readers of committed records wait for ever, and the group's offset stays undecided. Only the producer that wrote
the transaction can end it, so each worker looks after it may have happened: at its start, after a rebalance (a broker
that was away causes one) and after a transaction that failed.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from features.errors import DeliveryError
from stream.client.errors import RetriableError
from stream.client.patience import Times
from stream.client.records import Target
from stream.position.position import Ends

OTHERS_S = Times.others_s(Times().transaction_ms)
_OWN_S = 2.0
_ASK_S = 0.5


@dataclass(slots=True)
class _Doubt:
    """What may be held back, since when that is seen, and for how long a living transaction may hold it.

    Time in which brokers could not be asked does not count: what is seen then for the first time may have just begun.
    """

    grace_s: float
    partitions: Collection[int] | None = None  # all
    since: float | None = None
    before: dict[Target, int] = field(default_factory=dict)


class Forgotten:
    """Finds partitions of the targets that an open transaction holds back for too long."""

    def __init__(
        self,
        targets: Sequence[Target] | Callable[[], Sequence[Target]],
        ends: Ends,
        offsets_settled: Callable[[Collection[int] | None], bool],
        clock: Callable[[], float] = time.monotonic,
        others_s: float = OTHERS_S,
    ) -> None:
        """Begin with a look, since a predecessor of the same transactional id may have left something.

        `offsets_settled`: whether no open transaction holds back the group's offset in any of these partitions, None:
        in any. `others_s`: how long one that another worker left open may last; `targets` may grow.
        """
        self._targets = targets if callable(targets) else lambda: targets
        self._ends, self._offsets_settled, self._clock = ends, offsets_settled, clock
        self._rebalances, self._others_s = 0, others_s
        self._doubts = {False: _Doubt(others_s)}  # by whether they are about a transaction of this producer
        self._next = clock()

    def suspect_own(self, partitions: Collection[int] | None = None) -> None:
        """Look soon, since a transaction of this producer over these partitions failed: it has none open now.

        Only there: in others a living transaction of another worker may take longer.
        """
        self._next = self._clock()
        self._doubts[True] = _Doubt(_OWN_S, partitions)

    def held(self, rebalances: int) -> list[Target] | None:
        """Return which targets have been held back for too long, none if only offsets are; None: nothing is to be done.

        `rebalances`: how many there were.
        """
        now = self._clock()
        if rebalances != self._rebalances:
            self._rebalances, self._next = rebalances, now
            self._doubts = {False: _Doubt(self._others_s)}
        if not self._doubts or now < self._next:
            return None
        self._next = now + _ASK_S
        for own, doubt in sorted(self._doubts.items(), reverse=True):
            held = self._look(own, doubt)
            if held is not None:
                return held
        return None

    def _look(self, own: bool, doubt: _Doubt) -> list[Target] | None:  # noqa: FBT001 - a key
        try:
            held = self._held_back(doubt)
            if not held and self._offsets_settled(doubt.partitions):
                del self._doubts[own]
                return None
        except DeliveryError:  # the brokers are away; asked again
            return None
        now = self._clock()
        doubt.since = now if doubt.since is None else doubt.since
        if now - doubt.since < doubt.grace_s:
            return None
        doubt.since, doubt.before = None, {}
        return held

    def _held_back(self, doubt: _Doubt) -> list[Target]:
        if not doubt.before:
            targets = [t for t in self._targets() if doubt.partitions is None or t[1] in doubt.partitions]
            doubt.before = self._asked(targets, committed=False)
        ends = self._asked(doubt.before, committed=True)
        return [target for target, before in doubt.before.items() if ends[target] < before]

    def _asked(self, targets: Collection[Target], *, committed: bool) -> dict[Target, int]:
        """Return the ends of all of these, or raise that they are not known."""
        ends = self._ends(targets, committed=committed)
        if len(ends) < len(targets):
            raise RetriableError("partitions have no leader")
        return ends

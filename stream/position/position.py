"""Where a partition begins, so that nothing is decided twice and nothing is left out, whatever the brokers still know.

The committed offset alone does not tell. Apache Kafka (seen with 4.3.0) can count a transaction as committed that it
never ended in some of its partitions: those that have no leader when the transaction's coordinator comes up, as after
`kill -9` of a single node. What the transaction wrote there, a record or the group's offset, is lost with the next
transaction that its producer aborts. So the records themselves are asked:

1. With each offset the worker commits a mark: from which offset on the transaction decided, and where the targets
   ended before it, and the secret by which the records of the next ones prove what they settle (`proofs`).
2. A partition begins only when no open transaction holds back the ends of its targets or its offset.
3. What the targets hold of this group behind the mark is decided already, and is left out when it is read again: the
   offset may have been lost.
4. What was written behind the mark and is not committed was aborted: reading begins there, not behind it.
5. A message that the mark counts as decided and that has no record behind it is decided again: a request to commit that
   comes late may commit the offsets of the next transaction before its records are there. (Not where records may be
   gone by themselves: behind what retention left, or in compacted topics.)
6. A decision or a receipt that was committed without the other is one half: its message is read again for the other.
7. An offset without a mark was set by an operator (or by a worker that is no transactional one), and holds.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping

from features.errors import DeliveryError
from stream.client.client import Config
from stream.client.cluster import read_records
from stream.client.errors import (
    RESET_OFFSETS,
    LackingError,
    OffsetGoneError,
    OpenTransactionError,
    PersonNeededError,
    RetriableError,
)
from stream.client.records import About, Beginning, Committed, Message, Target, Trace
from stream.position.earlier import Earlier
from stream.position.evidence import Evidence
from stream.position.group import Group
from stream.position.marks import Span, Written
from stream.position.proofs import FalseClaims
from stream.position.targets import Targets

log = logging.getLogger(__name__)

_TURNS_S = 5.0

Ends = Callable[..., dict[Target, int]]  # see `stream.client.cluster.Admin.ends`


class Positions:
    """Where partitions begin, and the marks of what is committed."""

    def __init__(self, config: Config, written: Written, ends: Ends | None, *, earliest: bool) -> None:
        """`ends`: None where there are no transactions. `earliest`: the operator accepts to begin at the earliest."""
        self._config, self._written = config, written
        self._ends, self._earliest = ends, earliest
        self.false_claims = FalseClaims()
        self.earlier: Earlier | None = None  # where decisions depend on a history store
        self._begun: dict[int, Span] = {}  # where this process began
        self._spans: dict[int, Span] = {}  # of the next transaction
        self._before: dict[int, tuple[int, dict[Target, int]]] = {}  # at which rebalance, ends as first asked for
        self._turns: dict[int, float] = {}  # when partitions were last tried alone
        self._lacks: Callable[[int], str | None] = lambda _partition: None

    def __call__(self, group: Group, committed: Mapping[int, Committed]) -> dict[int, Beginning | DeliveryError]:
        """Return where each partition begins, or why that is not known: it holds back only itself.

        Raises:
            DeliveryError: going on would jump over messages or decide them again.

        """
        lacking = {p: self._lacks(p) for p in committed}
        ends, waits = self._settled_ends([p for p, text in lacking.items() if not text], group.rebalances)
        waits.update({p: LackingError(text) for p, text in lacking.items() if text})
        ready = {p: c for p, c in committed.items() if p not in waits}
        try:
            found = self._begin(group, ready, ends) if ready else {}
        except RetriableError as error:
            found = self._one_by_one(group, ready, ends, error)
        for p in found:
            self._before.pop(p, None)
        return {**waits, **found}

    def _one_by_one(
        self, group: Group, ready: Mapping[int, Committed], ends: Mapping[Target, int], error: RetriableError
    ) -> dict[int, Beginning | DeliveryError]:
        """Let those begin that can, for as long as there is time: the one that had its turn first comes last."""
        found: dict[int, Beginning | DeliveryError] = dict.fromkeys(ready, error)
        until = time.monotonic() + _TURNS_S
        for p in sorted(ready, key=lambda p: self._turns.get(p, 0.0)) if len(ready) > 1 else ():
            if time.monotonic() > until:
                break
            self._turns[p] = time.monotonic()
            try:
                found.update(self._begin(group, {p: ready[p]}, ends))
            except RetriableError as own:
                found[p] = own
        return found

    def _begin(
        self, group: Group, committed: Mapping[int, Committed], ends: Mapping[Target, int]
    ) -> dict[int, Beginning | DeliveryError]:
        spans = {p: self._known(p, c, ends) for p, c in committed.items()}
        known = {p: span for p, span in spans.items() if span is not None and ends}
        evidence = Evidence(
            config=self._config, written=self._written, spans=known, ends=ends, refused=self.false_claims
        )
        decided = evidence.decided()
        places = {p: self._first(group, p, c.offset, spans[p]) for p, c in committed.items()}
        gone = evidence.gone(decided, places)
        for p, offsets in evidence.lacking(group, decided, places).items():
            gone[p] |= offsets
        halves = evidence.halves(decided, gone, places)
        found = {p: self._beginning(place, decided[p], gone[p], halves[p]) for p, place in places.items()}
        for p, beginning in found.items():
            self._note(p, beginning, committed[p].offset, known.get(p), ends)
        if self.earlier is not None:
            return {p: b._replace(before=self.earlier(group, p, b, known.get(p), ends)) for p, b in found.items()}
        return {**found}

    def grow_with(self, targets: Targets) -> None:
        """Let partitions wait until all topics that are written to have them."""
        self._lacks = targets.lacks

    def mark(self, partition: int) -> str:
        """Return the mark of the next transaction."""
        return self._spans[partition].mark()

    def key(self, partition: int) -> bytes:
        """Return the secret by which the next transaction's records prove what they settle; empty: there is none."""
        return self._spans[partition].key if self._ends else b""

    def settled(self, offsets: Mapping[int, int], ends: Mapping[Target, int], ahead: Callable[[int], bool]) -> None:
        """Note that a transaction was committed, and where its records ended. `ahead`: see `Group`."""
        for p, offset in offsets.items():
            if not ahead(p):  # else what was decided before this process began would be out of the next mark's sight
                before = self._spans[p].ends
                now = tuple(ends.get((t, p), b) for t, b in zip(self._written.targets, before, strict=True))
                self._spans[p] = self._spans[p]._replace(first=offset, ends=now)

    def _settled_ends(
        self, partitions: Collection[int], rebalance: int
    ) -> tuple[dict[Target, int], dict[int, DeliveryError]]:
        """Return where the targets end, and of which partitions that may still change."""
        if self._ends is None:
            return {}, {}
        new = [p for p in partitions if self._before.get(p, (None,))[0] != rebalance]
        first = self._ends([(t, p) for t in self._written.targets for p in new], committed=False)
        for p in new:
            mine = {(t, p): first[t, p] for t in self._written.targets if (t, p) in first}
            if len(mine) == len(self._written.targets):
                self._before[p] = rebalance, mine
        ends = self._ends([(t, p) for t in self._written.targets for p in sorted(partitions)], committed=True)
        errors = {p: self._unsettled(p, rebalance, ends) for p in partitions}
        return ends, {p: error for p, error in errors.items() if error is not None}

    def _unsettled(self, partition: int, rebalance: int, ends: Mapping[Target, int]) -> DeliveryError | None:
        asked, before = self._before.get(partition, (None, {}))
        if asked != rebalance or not before.keys() <= ends.keys():
            return RetriableError(f"partition {partition}: no broker leads it in all topics that are written to")
        held = [f"{t} partition {p}" for (t, p), end in before.items() if ends[t, p] < end]
        if not held:
            return None
        return OpenTransactionError(f"{', '.join(held)}: an open transaction holds back what was decided")

    def _known(self, partition: int, committed: Committed, ends: Mapping[Target, int]) -> Span | None:
        """Return the last transaction that is known of; where none was committed, what this process began with."""
        begun = self._begun.get(partition)
        if committed.offset is None or (begun is not None and not committed.mark and begun.first == committed.offset):
            return begun
        return Span.read(committed, self._now(partition, ends))

    def _now(self, partition: int, ends: Mapping[Target, int]) -> tuple[int, ...]:
        return tuple(ends.get((t, partition), 0) for t in self._written.targets)

    def _note(
        self, partition: int, begin: Beginning, committed: int | None, known: Span | None, ends: Mapping[Target, int]
    ) -> None:
        changed = begin.decided or begin.halves or begin.offset < (committed or 0)
        if known is not None and changed:
            log.warning(
                "partition %s: the brokers know the offset %s, but records tell otherwise: begins at %s, %s decided, "
                "%s in half",
                *(partition, committed, begin.offset, len(begin.decided), len(begin.halves)),
            )
        span = Span.new(begin.offset, known.ends if known is not None and changed else self._now(partition, ends))
        if known is not None and known.key:
            span = span._replace(key=known.key)
        self._spans[partition] = span
        if known is None:
            self._begun[partition] = span

    def _first(self, group: Group, partition: int, offset: int | None, known: Span | None) -> int:
        if offset is None and known is not None:
            return known.first
        low, high = group.watermarks(group.topic, partition)
        if offset is not None and low <= offset <= high:
            return offset
        if self._earliest:
            log.log(
                logging.INFO if offset is None else logging.WARNING,
                "partition %s of %s begins at its earliest offset %s",
                *(partition, group.topic, low),
            )
            return low
        if offset is not None:
            raise OffsetGoneError(
                f"{group.topic} partition {partition}: the group's next offset is {offset}, but the topic holds "
                f"{low} to {high}. Messages may be lost (retention, or a topic made anew). {RESET_OFFSETS}"
            )
        for target in self._written.topics:
            self._refuse_second_start(group, target, partition)
        return low

    def _refuse_second_start(self, group: Group, target: str, partition: int) -> None:
        low, high = group.watermarks(target, partition)
        written = low < high and any(read_records(self._config, target, {partition: low}, {partition: high}))
        if low == high > 0 or written:
            raise PersonNeededError(
                f"{group.topic} partition {partition}: this group has no offset, but {target} holds or held records "
                f"there. Its offsets may have expired, or the group's name is new. {RESET_OFFSETS}"
            )

    def _beginning(
        self, place: int, decided: Mapping[int, Message], gone: set[int], halves: Mapping[int, Message]
    ) -> Beginning:
        """Begin at the first message that lacks something; all others before the committed offset are settled."""
        offset = min((place, *gone, *halves))
        settled: dict[int, About] = dict.fromkeys(range(offset, place), _by_the_mark)
        settled.update({o: self._about(record) for o, record in decided.items() if o >= offset})
        left_out = {o: about for o, about in settled.items() if o not in gone and o not in halves}
        return Beginning(offset, left_out, {o: Trace(record, self._about(record)) for o, record in halves.items()})

    def _about(self, record: Message) -> About:
        claim = self._written.claim(record)
        return _by_the_mark if claim is None or not claim.proof else claim.about


def _by_the_mark(_message: Message) -> bool:
    """What a mark counts as decided is decided, whichever message it was."""
    return True

"""A member of a consumer group, as the loop needs it.

Nothing here decides: what to do about an error is in `delivery`, where to begin reading in `stream.position`.
"""

import logging
import math
import time
from collections.abc import Collection, Mapping

from features.errors import DeliveryError
from stream.client.client import Config, Consumer, TopicPartition, positions, translate
from stream.client.errors import (
    HANGING,
    FatalError,
    LackingError,
    OpenTransactionError,
    PersonNeededError,
    RetriableError,
    UnreadableError,
)
from stream.client.records import Batch, Message
from stream.position.group import Group, Start
from stream.position.standstill import Standstill

log = logging.getLogger(__name__)

_PATIENCE_S = 60.0
_SOONEST_S, _LATEST_S = 0.1, 5.0  # between two tries to begin
_SAY_S, _SAY_AGAIN_S = 5.0, 30.0


class GroupConsumer(Group):
    """One member of a consumer group that reads one topic; each partition begins where `start` says."""

    def __init__(
        self,
        config: Config,
        topic: str,
        start: Start,
        patience_s: float = _PATIENCE_S,
        standstill: Standstill | None = None,
    ) -> None:
        """Join the group; partitions come with the first calls of `take`.

        `patience_s`: how long it may take to learn where partitions begin. `standstill`: finds those that do not go on.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        super().__init__(config, topic, start)
        self.assigned: dict[int, int] = {}  # where each partition began that can be read from
        self.waiting: dict[int, float] = {}  # since when the others wait for the answer where to begin
        self.why: dict[int, str] = {}  # what these wait for
        self._due: dict[int, float] = {}  # when they are tried again
        self._say: dict[int, float] = {}  # when to say so again
        self._lacking: dict[int, LackingError] = {}  # those that some topic has not got yet
        self.held: dict[int, UnreadableError] = {}  # those with a batch that cannot be unpacked; the others go on
        self._next: dict[int, int] = {}  # what is older was taken; whoever returns it went back by itself
        self._patience_s, self._standstill = patience_s, standstill
        self._consumer.subscribe([topic], self._on_assign, self._on_revoke, self._on_revoke)

    def take(self, most: int, wait_s: float) -> Batch:
        """Wait for a message, then take what has arrived with it, at most `most`.

        A rebalance while messages are in hand drops them all, to be read again: nothing was done with them yet, and
        some may belong to another member now.

        Raises:
            OffsetGoneError, DeliveryError: the broker cannot be read from; `start` may raise its own.

        """
        self._begin_waiting()
        if self.held and not (self.assigned or self.waiting):
            self.refuse_held()
        if self._standstill is not None:
            self._standstill.look(self.assigned, self._heard, [*self.waiting, *self.held])
        rebalances, membership = self.rebalances, self.membership()
        messages = [m for m in self.arrived(most, wait_s) if m.offset >= self._next.get(m.partition, math.inf)]
        if messages and self.rebalances != rebalances:
            self._put_back(messages)
            return Batch([], membership, {})
        offsets = {m.partition: m.offset + 1 for m in messages}
        self._next.update(offsets)
        return Batch(self.undecided(messages), membership, offsets, self.halves(messages), self.before(messages))

    def refuse_held(self) -> None:
        """End if a partition cannot be read on, or could not begin since a topic that is written to lacks it.

        Raises:
            PersonNeededError: naming its place.

        """
        for error in self.held.values():
            raise error
        for partition, lacking in self._lacking.items():
            raise PersonNeededError(f"partition {partition} of {self.topic} could not begin: {lacking}")

    def _unreadable(self, where: str, partition: int) -> None:
        """Read no further there; all other partitions go on."""
        self.held[partition] = UnreadableError(where)
        log.error("%s The other partitions go on.", self.held[partition])
        self._stop([partition])

    def rewind(self) -> None:
        """Begin again in all partitions, where `start` says with what is committed now."""
        super().rewind()
        self.waiting.update(dict.fromkeys(self.assigned, time.monotonic()))
        self._due.clear()
        self._stop(self.assigned)

    def idle(self) -> bool:
        """Return whether all partitions are assigned and read to their end; see `at_end`."""
        waiting = self.waiting.keys() - self._lacking.keys()
        return bool(self.assigned) and not waiting and self.at_end(self.assigned)

    def lag(self) -> dict[int, int]:
        """Return by partition how many offsets lie ahead, as far as the last fetch or look saw."""
        positions = self._consumer.position([TopicPartition(self.topic, p) for p in self.assigned])
        at = {p.partition: p.offset if p.offset >= 0 else self.assigned[p.partition] for p in positions}
        reading = {p: max(0, self._heard(p) - at[p]) for p in at}
        ends = self._standstill.aside if self._standstill else {}
        aside = {p: max(0, ends[p] - self._place.get(p, 0)) for p in (*self.waiting, *self.held) if p in ends}
        return {**aside, **reading}

    def _heard(self, partition: int) -> int:
        """Return where a partition ends as far as the last fetch saw."""
        at: int = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)[1]
        return at

    def _begin_waiting(self) -> None:
        """Let partitions begin that wait for it. Outside the client's callbacks, since an answer may take its time."""
        now = time.monotonic()
        due = sorted(p for p in self.waiting if self._due.get(p, 0.0) <= now)
        if not due:
            return
        try:
            begun, why = self.begin(due), self.waits
        except (RetriableError, FatalError) as error:
            begun, why = {}, dict.fromkeys(due, error)
        for partition, offset in begun.items():
            self._go_on(partition, offset)
        for partition, reason in why.items():
            self._put_off(partition, reason)
        if why and not self.assigned:
            self._refuse_when_long(why)

    def _put_off(self, partition: int, error: DeliveryError) -> None:
        """Note why a partition waits, and when it is its turn again: the longer it waits, the less it holds up."""
        if not isinstance(error, RetriableError | FatalError):
            raise error
        now = time.monotonic()
        waited = now - self.waiting.get(partition, now)
        self._due[partition] = now + min(_LATEST_S, max(_SOONEST_S, waited / 4))
        self.why[partition] = str(error)
        if isinstance(error, LackingError):
            self._lacking[partition] = error
        if now >= self._say.get(partition, 0.0) and (waited > _SAY_S or isinstance(error, LackingError)):
            self._say[partition] = now + _SAY_AGAIN_S
            log.warning(
                "partition %s of %s waits, for %.0f s now: %s. All others go on; it is tried again",
                *(partition, self.topic, waited, error),
            )

    def _refuse_when_long(self, why: Mapping[int, DeliveryError]) -> None:
        """End a worker of which no partition could begin for too long: another may be able to."""
        errors = [error for error in why.values() if not isinstance(error, LackingError)]
        if errors and time.monotonic() - min(self.waiting.values()) > self._patience_s:
            hanging = f" {HANGING}" if isinstance(errors[0], OpenTransactionError) else ""
            raise DeliveryError(f"{errors[0]}.{hanging}") from errors[0]

    def _go_on(self, partition: int, offset: int) -> None:
        """Read from there on. Never from a place that the client must ask for.

        Its answer, when late, sets librdkafka 2.15 back to that place, even behind a `seek`.
        """
        with translate(f"begin {self.topic} partition {partition}"):
            self._consumer.incremental_assign(positions(self.topic, {partition: offset}))
        self._ended.discard(partition)
        self.assigned[partition] = self._next[partition] = offset
        for waiting in (self.waiting, self.why, self._due, self._say, self._lacking):
            waiting.pop(partition, None)

    def _stop(self, partitions: Collection[int]) -> None:
        """Read no further in those of these partitions that have begun."""
        begun = {p: self.assigned.pop(p) for p in list(partitions) if p in self.assigned}
        self._place.update({p: self._next.get(p, begun[p]) for p in begun})
        self._next = {p: offset for p, offset in self._next.items() if p not in begun}
        self._consumer.incremental_unassign(positions(self.topic, begun))

    def _put_back(self, messages: list[Message]) -> None:
        for m in reversed(messages):
            if m.partition in self.assigned:
                with translate(f"read {self.topic} again"):
                    self._consumer.seek(TopicPartition(self.topic, m.partition, m.offset))

    def _on_assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        client.incremental_assign([])  # nothing yet, else the client would begin where it thinks best
        self.waiting.update({p.partition: time.monotonic() for p in partitions})
        self._due.update(dict.fromkeys(self.waiting, 0.0))  # a rebalance may be what they wait for
        log.info("assigned: partitions %s of %s", sorted(p.partition for p in partitions), self.topic)

    def _on_revoke(self, _client: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        self._stop([p.partition for p in partitions])
        for p in partitions:
            for known in (self.waiting, self.why, self._due, self._say, self._lacking, self.held, self._place):
                known.pop(p.partition, None)
        log.info("given up: partitions %s of %s", sorted(p.partition for p in partitions), self.topic)

"""A member of a consumer group, as the loop needs it.

Nothing here decides: what to do about an error is in `stream.delivery`, where to begin reading in `stream.position`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from features.errors import DeliveryError
from stream.client import (
    BEGINNING,
    ClientMessage,
    Config,
    Consumer,
    KafkaException,
    Notes,
    TopicPartition,
    build,
    positions,
    to_message,
    translate,
)
from stream.errors import HANGING, RESET_OFFSETS, OffsetGoneError, RetriableError, translated
from stream.records import Batch, Beginning, Committed, Message

log = logging.getLogger(__name__)

Start = Callable[["GroupConsumer", Mapping[int, Committed]], Mapping[int, Beginning]]  # where to begin

ANSWER_S = 10.0  # for questions
_CALL_S = 1.0  # for questions that are asked again when time is up: a signal is seen in between
_PATIENCE_S = 60.0
_STOP = {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "_BAD_MSG", "_BAD_COMPRESSION", "_LOG_TRUNCATION"}


class GroupConsumer:
    """One member of a consumer group that reads one topic; each partition begins where `start` says.

    Without `start` it does not join: it knows the group's offsets only.
    """

    def __init__(self, config: Config, topic: str, start: Start | None = None, patience_s: float = _PATIENCE_S) -> None:
        """Join the group; partitions come with the first calls of `take`.

        `patience_s`: how long it may take to learn where partitions begin.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        self.topic = topic
        self.assigned: dict[int, int] = {}  # where each partition began that can be read from
        self.waiting: dict[int, float] = {}  # since when the others wait for the answer where to begin
        self.rebalances = 0
        self._decided: dict[int, set[int]] = {}
        self._patience_s, self._notes = patience_s, Notes()
        self._consumer: Consumer = build(Consumer, config)
        if start is not None:
            self._start = start
            self._consumer.subscribe([topic], self._on_assign, self._on_revoke, self._on_revoke)

    def take(self, most: int, wait_s: float) -> Batch:
        """Wait for a message, then take what has arrived with it, at most `most`.

        A rebalance while messages are in hand drops them all, to be read again: nothing was done with them yet, and
        some may belong to another member now.

        Raises:
            OffsetGoneError, DeliveryError: the broker cannot be read from; `start` may raise its own.

        """
        self._begin_waiting()
        rebalances, membership = self.rebalances, self.membership()
        with translate(f"read {self.topic}"):
            first = self._consumer.poll(wait_s)
            taken = [] if first is None else [first, *(self._consumer.consume(most - 1, 0) if most > 1 else [])]
        messages = [to_message(m) for m in taken if not self._failed(m)]
        messages = [m for m in messages if m.partition in self.assigned]
        if messages and self.rebalances != rebalances:
            self._put_back(messages)
            return Batch([], membership, {})
        return Batch(self._undecided(messages), membership, {m.partition: m.offset + 1 for m in messages})

    def membership(self) -> Any:
        """Return the proof of being a member now, by which the broker refuses the writes of one that was replaced."""
        return self._consumer.consumer_group_metadata()

    def rewind(self) -> None:
        """Begin again in all partitions, where `start` says with what is committed now."""
        self._consumer.pause([TopicPartition(self.topic, p) for p in self.assigned])
        self.waiting.update(dict.fromkeys(self.assigned, time.monotonic()))
        self.assigned.clear()

    def committed(self, partitions: Iterable[int]) -> dict[int, int | None]:
        """Return the group's committed offsets, None where there is none; waits for transactions under way."""
        return {p: committed.offset for p, committed in self._ask(partitions, ANSWER_S).items()}

    def settled(self, partitions: Iterable[int]) -> bool:
        """Return whether no open transaction holds back the group's offset in any of these."""
        try:
            self._ask(partitions, _CALL_S)
        except RetriableError:
            return False
        return True

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit offsets outside a transaction."""
        with translate(f"commit offsets of {self.topic}"):
            self._consumer.commit(offsets=positions(self.topic, offsets), asynchronous=False)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset that is still there and the one after the last."""
        with translate(f"ask for the offsets of {topic}"):
            return self._consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_S)

    def lag(self) -> dict[int, int]:
        """Return by partition how many offsets lie ahead, as far as the last fetch saw."""
        positions = self._consumer.position([TopicPartition(self.topic, p) for p in self.assigned])
        at = {p.partition: p.offset if p.offset >= 0 else self.assigned[p.partition] for p in positions}
        ends = {p.partition: self._consumer.get_watermark_offsets(p, cached=True)[1] for p in positions}
        return {p: max(0, ends[p] - at[p]) for p in at}

    def ahead(self, partition: int) -> bool:
        """Return whether messages that are decided already lie ahead in a partition."""
        return bool(self._decided.get(partition))

    def close(self) -> None:
        """Leave the group at once, so that another member takes over."""
        with translate("leave the group"):
            self._consumer.close()

    def _ask(self, partitions: Iterable[int], seconds: float) -> dict[int, Committed]:
        asked = [TopicPartition(self.topic, p) for p in partitions]
        with translate(f"ask for the committed offsets of {self.topic}"):
            answered = self._consumer.committed(asked, seconds) if asked else []
        for p in answered:
            if p.error is not None:
                raise translated(p.error, f"ask for the committed offset of {self.topic} partition {p.partition}")
        return {p.partition: Committed(p.offset if p.offset >= 0 else None, p.metadata or "") for p in answered}

    def _begin_waiting(self) -> None:
        """Let partitions begin that wait for it. Outside the client's callbacks, since an answer may take its time."""
        if not self.waiting:
            return
        try:
            for partition, place in self._start(self, self._ask(sorted(self.waiting), _CALL_S)).items():
                self._begin(partition, place)
        except RetriableError as error:
            if time.monotonic() - min(self.waiting.values()) > self._patience_s:
                raise DeliveryError(f"{error}. {HANGING}") from error
            time.sleep(_CALL_S / 10)

    def _begin(self, partition: int, place: Beginning) -> None:
        try:
            self._consumer.seek(TopicPartition(self.topic, partition, place.offset))
        except KafkaException as error:
            if error.args[0].name() == "_STATE":  # the client is not ready for it yet
                raise RetriableError(f"{self.topic} partition {partition}: not begun yet") from error
            raise translated(error.args[0], f"begin {self.topic} partition {partition}") from error
        self._consumer.resume([TopicPartition(self.topic, partition)])
        self._decided[partition] = set(place.decided)
        self.assigned[partition] = place.offset
        del self.waiting[partition]

    def _undecided(self, messages: list[Message]) -> list[Message]:
        """Leave out what is decided already, and forget it."""
        if not any(self._decided.values()):
            return messages
        kept = [m for m in messages if m.offset not in self._decided[m.partition]]
        for m in messages:
            self._decided[m.partition].discard(m.offset)
        return kept

    def _put_back(self, messages: list[Message]) -> None:
        for m in reversed(messages):
            if m.partition in self.assigned:
                with translate(f"read {self.topic} again"):
                    self._consumer.seek(TopicPartition(self.topic, m.partition, m.offset))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        consumer.incremental_assign(positions(self.topic, {p.partition: BEGINNING for p in partitions}))
        consumer.pause(partitions)
        self.waiting.update({p.partition: time.monotonic() for p in partitions})
        log.info("assigned: partitions %s of %s", sorted(p.partition for p in partitions), self.topic)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        consumer.resume(partitions)  # else a pause would survive
        consumer.incremental_unassign(partitions)
        for p in partitions:
            self.assigned.pop(p.partition, None)
            self.waiting.pop(p.partition, None)
        log.info("given up: partitions %s of %s", sorted(p.partition for p in partitions), self.topic)

    def _failed(self, message: ClientMessage) -> bool:
        error = message.error()
        if error is None:
            return False
        where = f"{message.topic() or self.topic} partition {message.partition()}"
        if error.name() == "_AUTO_OFFSET_RESET":
            raise OffsetGoneError(f"{where}: the next offset is not there any more. {RESET_OFFSETS}")
        if error.fatal() or error.name() in _STOP:
            raise DeliveryError(f"{where}: {error.name()} ({error.str()})")
        self._notes(error)
        return True

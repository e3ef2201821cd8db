"""A member of a consumer group and a producer, as the loop needs them.

Nothing here decides: what to do about an error is in `stream.delivery`, where to begin reading in `stream.start`.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from features.errors import DeliveryError
from stream.client import (
    ClientMessage,
    Config,
    Consumer,
    KafkaError,
    KafkaException,
    Notes,
    Producer,
    TopicPartition,
    build,
    positions,
    to_message,
    translate,
)
from stream.errors import RESET_OFFSETS, OffsetGoneError, RetriableError, translated
from stream.records import Batch, Record

log = logging.getLogger(__name__)

Start = Callable[["GroupConsumer", dict[int, int | None]], dict[int, int]]  # from committed offsets to where to begin

ANSWER_S = 10.0  # for questions
CALL_S = 1.0  # for calls that are made again when time is up: a signal is seen in between
_STOP = {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "_BAD_MSG", "_BAD_COMPRESSION", "_LOG_TRUNCATION"}


class GroupConsumer:
    """One member of a consumer group that reads one topic; each partition begins where `start` says.

    Without `start` it does not join: it knows the group's offsets only.
    """

    def __init__(self, config: Config, topic: str, start: Start | None = None) -> None:
        """Join the group; partitions come with the first calls of `take`.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        self.topic = topic
        self.assigned: dict[int, int] = {}  # where each partition began
        self._found: dict[int, int | None] = {}  # its committed offset then
        self._settled: dict[int, int] = {}  # what this process committed last
        self._rebalanced, self._notes = False, Notes()
        self._consumer: Consumer = build(Consumer, config)
        if start is not None:
            self._start = start
            self._consumer.subscribe([topic], self._on_assign, self._on_revoke, self._on_revoke)

    def take(self, most: int, wait_s: float) -> Batch:
        """Wait for a message, then take what has arrived with it, at most `most`.

        A rebalance while messages are in hand drops them all and reads them again from the committed offsets: nothing
        was done with them yet, and some may belong to another member now.

        Raises:
            OffsetGoneError, DeliveryError: the broker cannot be read from; `start` may raise its own.

        """
        self._rebalanced, membership = False, self.membership()
        with translate(f"read {self.topic}"):
            first = self._consumer.poll(wait_s)
            taken = [] if first is None else [first, *(self._consumer.consume(most - 1, 0) if most > 1 else [])]
        messages = [to_message(m) for m in taken if not self._failed(m)]
        if messages and self._rebalanced:
            self.rewind()
            return Batch([], membership)
        return Batch(messages, membership)

    def membership(self) -> Any:
        """Return the proof of being a member now, by which the broker refuses the writes of one that was replaced."""
        return self._consumer.consumer_group_metadata()

    def rewind(self) -> None:
        """Read again from the committed offsets; from where it began, where nothing was committed since."""
        for partition, offset in self.committed(self.assigned).items():
            unmoved = offset is None or offset == self._found[partition]
            target = TopicPartition(self.topic, partition, self.assigned[partition] if unmoved else offset or 0)
            try:
                self._consumer.seek(target)
            except KafkaException as error:
                if error.args[0].name() != "_STATE":  # _STATE: nothing was read from it yet
                    raise translated(error.args[0], f"return to the committed offset of {self.topic}") from error

    def committed(self, partitions: Iterable[int]) -> dict[int, int | None]:
        """Return the group's committed offsets, None where there is none; waits for transactions under way."""
        asked = [TopicPartition(self.topic, p) for p in partitions]
        with translate(f"ask for the committed offsets of {self.topic}"):
            answered = self._consumer.committed(asked, ANSWER_S) if asked else []
        for p in answered:
            if p.error is not None:
                raise translated(p.error, f"ask for the committed offset of {self.topic}, partition {p.partition}")
            if p.offset < self._settled.get(p.partition, p.offset):
                raise RetriableError(
                    f"{self.topic}, partition {p.partition}: the broker does not know an offset that it acknowledged "
                    "(not yet, after a restart); reading on from before would decide twice."
                )
        return {p.partition: p.offset if p.offset >= 0 else None for p in answered}

    def settled(self, offsets: Mapping[int, int]) -> None:
        """Note what was committed: from then on, no answer of a broker makes this consumer read from before it."""
        self._settled.update(offsets)

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

    def close(self) -> None:
        """Leave the group at once, so that another member takes over."""
        with translate("leave the group"):
            self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalanced = True
        found = self.committed(p.partition for p in partitions)
        offsets = self._start(self, found)
        consumer.incremental_assign(positions(self.topic, offsets))
        self.assigned.update(offsets)
        self._found.update(found)
        log.info("assigned: partitions %s of %s", sorted(offsets), self.topic)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalanced = True
        consumer.incremental_unassign(partitions)
        for p in partitions:
            self.assigned.pop(p.partition, None)
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


class RecordProducer:
    """An idempotent producer; with `transactional.id` in its config, one that writes in transactions."""

    def __init__(self, config: Config) -> None:
        """Connect in the background.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        self._producer: Producer = build(Producer, config)
        self._undelivered: list[KafkaError] = []
        self._on_delivery = None if "transactional.id" in config else self._note_delivery  # there, commit tells

    def init(self) -> None:
        """End what a producer of the same transactional id left open, and fence it."""
        with translate("begin as a transactional producer"):
            self._producer.init_transactions(ANSWER_S)

    def begin(self) -> None:
        """Begin a transaction."""
        with translate("begin a transaction"):
            self._producer.begin_transaction()

    def send(self, records: Sequence[Record]) -> None:
        """Hand records over, waiting while the client's buffer is full; flush or commit says whether they arrived."""
        produce, done = self._producer.produce, self._on_delivery
        with translate("write records"):
            for r in records:
                to = -1 if r.partition is None else r.partition
                headers: Any = list(r.headers)
                while True:
                    try:
                        produce(r.topic, r.value, r.key, to, headers=headers, on_delivery=done)
                        break
                    except BufferError:
                        self._producer.poll(0.05)

    def send_offsets(self, topic: str, offsets: Mapping[int, int], membership: Any) -> None:
        """Put the offsets to read next into the transaction; may be called again after RetriableError."""
        with translate("write offsets"):
            self._producer.send_offsets_to_transaction(positions(topic, offsets), membership, CALL_S)

    def commit(self) -> None:
        """Commit; may be called again after RetriableError."""
        with translate("commit"):
            self._producer.commit_transaction(CALL_S)

    def abort(self) -> None:
        """Abort; may be called again after RetriableError."""
        with translate("abort"):
            self._producer.abort_transaction(CALL_S)

    def discard(self) -> None:
        """Forget what is still to be written; the producer is of no use any more."""
        self._producer.purge()

    def flush(self, wait_s: float) -> None:
        """Wait until all records have arrived.

        Raises:
            DeliveryError: one did not; the ones before it may have.

        """
        with translate("write records"):
            waiting = self._producer.flush(wait_s)
        failed, self._undelivered = self._undelivered, []
        if failed:
            raise translated(failed[0], f"{len(failed)} records were not delivered")
        if waiting:
            raise RetriableError(f"{waiting} records were not delivered within {wait_s:.0f} s")

    def _note_delivery(self, error: KafkaError | None, _message: ClientMessage) -> None:
        if error is not None:
            self._undelivered.append(error)

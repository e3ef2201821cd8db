"""A producer as the loop needs it. Nothing here decides: what to do about an error is in `delivery`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream.client.bounded import Bounded
from stream.client.client import (
    ClientMessage,
    Config,
    KafkaError,
    KafkaException,
    Producer,
    build,
    positions,
    translate,
)
from stream.client.errors import RetriableError, translated
from stream.client.patience import CALL_S
from stream.client.records import Record, Target

__all__ = ["RecordProducer"]

_HANGS_S = CALL_S + 3


class RecordProducer:
    """An idempotent producer; with `transactional.id` in its config, one that writes in transactions."""

    def __init__(self, config: Config) -> None:
        """Connect in the background.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        self._producer: Producer = build(Producer, config)
        self.ends: dict[Target, int] = {}  # by partition: the offset behind the last record that arrived
        self._undelivered: list[KafkaError] = []
        self._bounded = Bounded(_HANGS_S)
        self._transactional = "transactional.id" in config  # there, commit tells whether records arrived

    def init(self) -> None:
        """End what a producer of the same transactional id left open, and fence it."""
        self._call("begin as a transactional producer", lambda: self._producer.init_transactions(CALL_S))

    def begin(self) -> None:
        """Begin a transaction."""
        with translate("begin a transaction", self._cause):
            self._producer.begin_transaction()

    def send(self, records: Sequence[Record]) -> None:
        """Hand records over, waiting while the client's buffer is full; flush or commit says whether they arrived."""
        produce, note = self._producer.produce, self._note_delivery
        last = {(r.topic, r.partition): r for r in records} if self._transactional else {}
        with translate("write records", self._cause):
            for r in records:
                to = -1 if r.partition is None else r.partition
                headers: Any = list(r.headers)
                value = b"".join(r.parts) if r.parts else r.value
                done = note if not self._transactional or last[r.topic, r.partition] is r else None
                while True:
                    try:
                        produce(r.topic, value, r.key, to, headers=headers, on_delivery=done)
                        break
                    except BufferError:
                        self._producer.poll(0.05)

    def send_offsets(
        self, topic: str, offsets: Mapping[int, int], membership: Any, marks: Mapping[int, str] | None = None
    ) -> None:
        """Put the offsets to read next into the transaction; may be called again after RetriableError.

        `marks`: by partition, a text that is kept with the offset.
        """
        places = positions(topic, offsets, marks)
        self._call("write offsets", lambda: self._producer.send_offsets_to_transaction(places, membership, CALL_S))

    def commit(self) -> None:
        """Commit; may be called again after RetriableError."""
        self._call("commit", lambda: self._producer.commit_transaction(CALL_S))

    def _call(self, doing: str, call: Callable[[], None]) -> None:
        def translating() -> None:
            with translate(doing, self._cause):
                call()

        self._bounded(doing, translating)

    def discard(self) -> None:
        """Forget what is still to be written; the producer is of no use any more."""
        self._producer.purge()
        self._bounded.end()

    def flush(self, wait_s: float) -> None:
        """Wait until all records have arrived.

        Raises:
            DeliveryError: one did not; the ones before it may have.

        """
        with translate("write records", self._cause):
            waiting = self._producer.flush(wait_s)
        failed, self._undelivered = self._undelivered, []
        if failed:
            raise translated(self._cause(failed[0]), f"{len(failed)} records were not delivered")
        if waiting:
            raise RetriableError(f"{waiting} records were not delivered within {wait_s:.0f} s")

    def _cause(self, error: KafkaError) -> KafkaError:
        """Return why the client is of no use any more where an error says just that."""
        if error.name() != "_FATAL":
            return error
        try:
            self._producer.poll(0)
        except KafkaException as cause:
            ended: KafkaError = cause.args[0]
            return ended
        return error

    def _note_delivery(self, error: KafkaError | None, message: ClientMessage) -> None:
        if error is None:
            self.ends[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + 1
        elif not self._transactional:
            self._undelivered.append(error)

"""The stream door as a process of its own, on the embedded broker or a real one, asked through topics of this run."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from features.errors import DeliveryError
from stream.client.cluster import Admin
from stream.client.producer import RecordProducer
from stream.client.records import Message, Record
from stream.client.topic_reader import TopicReader
from stream.dead_letters import take_apart
from stream.settings.client_settings import producer_config
from stream.settings.settings import DeliveryMode, StreamSettings
from stream.start import create_missing
from verify.answers import DoorAnswer
from verify.doors import Question
from verify.processes import Running, running

_PARTITIONS = 4
_MOST_MESSAGES, _MOST_BYTES = 500, 1 << 20  # at once: the embedded broker forgets what is old
_PATIENCE_SECONDS = 120.0


def ask_stream(question: Question, messages: Sequence[bytes], brokers: str | None) -> list[DoorAnswer]:
    """Run `credit stream run` on topics made for this; publish each message, and take its decision or dead letter.

    `brokers` None: on the embedded broker, at-least-once; else exactly-once, and the topics stay behind.

    Raises:
        DeliveryError: a process ended, or answers stopped coming.

    """
    with ExitStack() as resources:
        if brokers is None:
            embedded = running((*question.command, "stream", "embedded"), "embedded broker", {})
            address = resources.enter_context(embedded).first_line().strip()
        settings = _settings(question, brokers or address, embedded=brokers is None)
        admin = Admin(settings.connection)
        if brokers is None:
            admin.cluster(settings.input, settings.output, settings.dead_letters)  # asking makes them there
        else:
            create_missing(admin, settings, _PARTITIONS, 1)
        worker = resources.enter_context(running(_command(question, settings), "stream", {}))
        return _Conversation(settings, worker).ask(messages)


def _settings(question: Question, brokers: str, *, embedded: bool) -> StreamSettings:
    name = f"credit.verify.{secrets.token_hex(4)}"
    values: dict[str, Any] = {
        "brokers": brokers,
        "bundle": question.bundle,
        "input": f"{name}.applications",
        "output": f"{name}.decisions",
        "dead_letters": f"{name}.dead-letters",
        "group": name,
        "delivery": DeliveryMode.AT_LEAST_ONCE if embedded else DeliveryMode.EXACTLY_ONCE,
        "max_reject_share": 1,
    }
    return StreamSettings.model_validate(values)


def _command(question: Question, settings: StreamSettings) -> list[object]:
    names = ("brokers", "bundle", "input", "output", "dead_letters", "group", "delivery", "max_reject_share")
    flags = [part for name in names for part in (f"--{name.replace('_', '-')}", getattr(settings, name))]
    return [*question.command, "stream", "run", *flags, *question.history]


@dataclass(slots=True)
class _Conversation:
    settings: StreamSettings
    worker: Running
    offsets: list[int] = field(default_factory=lambda: [0] * _PARTITIONS)
    rows: dict[tuple[int, int], int] = field(default_factory=dict)

    def ask(self, messages: Sequence[bytes]) -> list[DoorAnswer]:
        outcomes = [DoorAnswer()] * len(messages)
        producer = RecordProducer(producer_config(self.settings.connection))
        with self._reader(self.settings.output) as decisions, self._reader(self.settings.dead_letters) as letters:
            for some in _slices(messages):
                producer.send([self._record(row, messages[row]) for row in some])
                producer.flush(_PATIENCE_SECONDS)
                missing = set(some)
                until = time.monotonic() + _PATIENCE_SECONDS
                while missing:
                    self.worker.check()
                    for row, outcome in [*self._decided(decisions), *self._refused(letters)]:
                        outcomes[row] = outcome
                        missing.discard(row)
                    if time.monotonic() > until:
                        raise DeliveryError(
                            f"stream: {len(missing)} answers did not come within {_PATIENCE_SECONDS:.0f} s."
                        )
        return outcomes

    def _record(self, row: int, message: bytes) -> Record:
        """Choose the partition, so that partition and offset, which come back with the answer, name the row."""
        partition = row % _PARTITIONS
        self.rows[partition, self.offsets[partition]] = row
        self.offsets[partition] += 1
        return Record(self.settings.input, partition, str(row).encode(), message, ())

    @contextmanager
    def _reader(self, topic: str) -> Iterator[TopicReader]:
        """Read outside of any group, so that it does not matter which group protocol the brokers know."""
        reader = TopicReader(self.settings.connection, topic, f"{topic}.verify")
        reader.read_from(dict.fromkeys(range(reader.partitions), 0))
        yield reader
        reader.close()

    def _decided(self, reader: TopicReader) -> Iterator[tuple[int, DoorAnswer]]:
        for message in reader.take(0.05):
            headers = {name: value or b"" for name, value in message.headers}
            place = int(headers["source_partition"]), int(headers["source_offset"])
            yield self.rows[place], DoorAnswer(decision=message.value)

    def _refused(self, reader: TopicReader) -> Iterator[tuple[int, DoorAnswer]]:
        for message in reader.take(0.01):
            yield self._letter(message)

    def _letter(self, message: Message) -> tuple[int, DoorAnswer]:
        letter = take_apart(message)
        if letter is None:
            raise DeliveryError("stream: a dead letter does not say where its message came from.")
        return self.rows[letter.partition, letter.offset], DoorAnswer(code=letter.code)


def _slices(messages: Sequence[bytes]) -> Iterator[range]:
    start, size = 0, 0
    for row, message in enumerate(messages):
        if row > start and (row - start >= _MOST_MESSAGES or size + len(message) > _MOST_BYTES):
            yield range(start, row)
            start, size = row, 0
        size += len(message)
    if len(messages) > start:
        yield range(start, len(messages))

"""Dead letters looked at and sent back.

The group `GROUP.dead-letters` remembers which dead letters are settled. A redrive sends messages back to the topic that
they came from and moves that group's offsets in the same transaction; those that are not chosen are put back at the end
of the dead letters by it, so that none is lost.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from features.errors import DeliveryError
from stream.broker import GroupConsumer
from stream.client_settings import member_config, producer_config
from stream.cluster import Admin, read_records
from stream.dead_letters import DeadLetter, take_apart
from stream.delivery import AtLeastOnce, Delivery, ExactlyOnce, Patience
from stream.producer import RecordProducer
from stream.records import Message, Record
from stream.settings import TopicSettings

_BATCH = 200
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A dead letter that is not settled; `letter` is None where something else wrote it."""

    message: Message
    letter: DeadLetter | None

    @property
    def file_name(self) -> str:
        """The name under which its value is exported and a corrected one is looked for."""
        return f"{self.message.partition}-{self.message.offset}.json"


@dataclass(frozen=True, slots=True)
class Resend:
    """Send a message back, with this value."""

    value: bytes | None


class DeadLetters:
    """The dead letters of one topic that are not settled yet."""

    def __init__(self, settings: TopicSettings) -> None:
        """Connect.

        Raises:
            SettingsError, DeliveryError: settings are refused or the brokers do not answer.

        """
        self._settings = settings
        self._cluster = Admin(settings.connection).cluster(settings.dead_letters, settings.input)
        group = f"{settings.group}.dead-letters"
        self._consumer = GroupConsumer(member_config(settings.connection, group), settings.dead_letters)

    def pending(self, *, everything: bool = False) -> Iterator[Pending]:
        """Yield dead letters that are not settled, or all that are still there, by partition in order."""
        topic = self._settings.dead_letters
        partitions = range(self._cluster.partitions.get(topic, 0))
        marks = {p: self._consumer.watermarks(topic, p) for p in partitions}
        settled = {} if everything else self._consumer.committed(partitions)
        starts = {p: max(low, settled.get(p) or 0) for p, (low, _) in marks.items()}
        ends = {p: high for p, (_, high) in marks.items() if starts[p] < high}
        starts = {p: starts[p] for p in ends}
        for message in read_records(self._settings.connection, topic, starts, ends):
            yield Pending(message, take_apart(message))

    def redrive(self, choose: Callable[[Pending], Resend | None]) -> Counter[str]:
        """Send back those for which `choose` gives a value; put the others back, as it does with strangers' records.

        Returns how many became what.

        Raises:
            DeliveryError: the brokers refused; what is counted as sent until then is final, the rest untouched.

        """
        delivery, done = self._delivery(), Counter[str]()
        pending = self.pending()
        while batch := list(itertools.islice(pending, _BATCH)):
            outcomes = [_outcome(p, choose(p), self._settings.input) for p in batch]
            offsets = {p.message.partition: p.message.offset + 1 for p in batch}
            if not delivery.deliver([record for _, record in outcomes], offsets, self._consumer.membership()):
                raise DeliveryError(
                    "the dead letters were not sent back. Another redrive may be running; run it again."
                )
            done.update(outcome for outcome, _ in outcomes)
        return done

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _delivery(self) -> Delivery:
        patience, connection = Patience(_PATIENCE_S), self._settings.connection
        if self._cluster.embedded:
            return AtLeastOnce(self._consumer, RecordProducer(producer_config(connection)), patience, _PATIENCE_S)
        config = producer_config(connection, transactional_id=f"{self._settings.group}.dead-letters")
        return ExactlyOnce(self._consumer, lambda: RecordProducer(config), patience)


def _outcome(pending: Pending, choice: Resend | None, topic: str) -> tuple[str, Record]:
    m, letter = pending.message, pending.letter
    if letter is None or choice is None:
        return "put back", Record(m.topic, m.partition, m.key, m.value, m.headers)
    outcome = "sent as they were" if choice.value == m.value else "sent corrected"
    return outcome, Record(topic, letter.partition, m.key, choice.value, letter.headers)

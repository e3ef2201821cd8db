"""Dead letters looked at and sent back.

The group `GROUP.dead-letters` remembers which dead letters are settled. A redrive sends messages back to the input and
moves that group's offsets in the same transaction; those that are not chosen are put back at the end of the dead
letters by it, so that none is lost. Each bears the header `redriven_from`, with a proof (`proofs`), by which
the next redrive finds out what a broker forgot of this one (see `stream.position`).
"""

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from features.errors import DeliveryError
from stream.client.cluster import Admin, read_records
from stream.client.errors import HANGING, OpenTransactionError, RetriableError
from stream.client.patience import Patience
from stream.client.producer import RecordProducer
from stream.client.records import Message, Record
from stream.dead_letters import DeadLetter, claims_of_redrive, redriven, take_apart
from stream.position.delivery import AtLeastOnce, Delivery, ExactlyOnce
from stream.position.forgotten import OTHERS_S, Forgotten
from stream.position.group import Group
from stream.position.marks import Written
from stream.position.position import Positions
from stream.settings.client_settings import member_config, producer_config
from stream.settings.settings import TopicSettings
from stream.start import check_topics

__all__ = ["DeadLetters", "Pending", "Resend"]

log = logging.getLogger(__name__)

_BATCH = 200
_PATIENCE_S = 30.0  # with a transaction that somebody has open
_MOST_TRIES = 5  # without a batch in between; in an outage each of them takes as long as patience does
_OUTAGE_S = 120.0  # of brokers that fail over or are restarted
_ANY_SIZE = 1 << 30


@dataclass(frozen=True, slots=True)
class Pending:
    """A dead letter that is not settled; `letter` is None where something else wrote it."""

    message: Message
    letter: DeadLetter | None

    @classmethod
    def of(cls, message: Message) -> "Pending":
        """Take a record of the dead-letter topic apart."""
        return cls(message, take_apart(message))

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

    def __init__(self, settings: TopicSettings, others_s: float = OTHERS_S) -> None:
        """Connect. `others_s`: how long a transaction that an earlier redrive left open may last.

        Raises:
            SettingsError, DeliveryError: settings are refused or the brokers do not answer.

        """
        self._settings, self._others_s = settings, others_s
        self._admin = Admin(settings.connection)
        self._cluster = self._admin.cluster(settings.dead_letters, settings.input)
        self._partitions = range(self._cluster.partitions.get(settings.dead_letters, 0))
        self._name = f"{settings.group}.dead-letters"
        self._topics = (settings.input, settings.dead_letters)
        written = Written(topics=self._topics, claim=claims_of_redrive(settings.dead_letters, self._name))
        ends = None if self._cluster.embedded else self._admin.ends
        self._positions = Positions(settings.connection, written, ends, earliest=True)
        self._group = Group(member_config(settings.connection, self._name), settings.dead_letters, self._positions)

    def pending(self, *, everything: bool = False) -> Iterator[Pending]:
        """Yield dead letters that are not settled, or all that are still there, by partition in order."""
        settled = {} if everything else self._group.committed(self._partitions)
        yield from map(Pending.of, self._messages({p: settled.get(p) or 0 for p in self._partitions}))

    def redrive(self, choose: Callable[[Pending], Resend | None]) -> Counter[str]:
        """Send back those for which `choose` gives a value; put the others back, as it does with strangers' records.

        Returns how many became what.

        Raises:
            SettingsError: a topic is missing, or they do not fit together.
            DeliveryError: the brokers refused; what was sent until then is final, the rest untouched.

        """
        check_topics(self._cluster, *self._topics)
        delivery, resending = self._delivery(), _Resending(choose=choose, largest=self._largest())
        while True:
            try:
                self._send(delivery, resending)
            except RetriableError as error:  # what became of the last batch is found out where it begins again
                resending.tries += 1
                if resending.tries > _MOST_TRIES:
                    raise
                log.warning("begins again where the brokers say: %s", error)
            else:
                return resending.done

    def _send(self, delivery: Delivery, resending: "_Resending") -> None:
        starts = self._begin(delivery)
        resending.settled(place for place in [*resending.uncertain] if place[1] < starts[place[0]])
        for batch in self._batches(starts):
            pending = [Pending.of(m) for m in self._group.undecided(batch)]
            resending.settled({m.place for m in batch} - {p.message.place for p in pending})
            outcomes = [_outcome(p, resending.choose(p), self._settings.input) for p in pending]
            records = [
                redriven(r, p.message, self._name, resending.largest[r.topic], self._positions.key(r.partition or 0))
                for p, (_, r) in zip(pending, outcomes, strict=True)
            ]
            resending.uncertain |= {p.message.place: o for p, (o, _) in zip(pending, outcomes, strict=True)}
            self._deliver(delivery, records, {m.partition: m.offset + 1 for m in batch})
            resending.settled([p.message.place for p in pending])
            resending.tries = 0

    def _largest(self) -> dict[str, int]:
        return {t: _ANY_SIZE if self._cluster.embedded else self._admin.largest_message(t) for t in self._topics}

    def _begin(self, delivery: Delivery) -> dict[int, int]:
        """Return where each partition begins, once an earlier redrive has left nothing undecided."""
        starts: dict[int, int] = {}

        def begin() -> None:
            delivery.tend()
            starts.update(self._group.begin(self._partitions))
            self._group.refuse_waiting()

        try:
            Patience(_PATIENCE_S + self._others_s).retry(begin)
        except DeliveryError as error:
            if isinstance(error.__cause__, RetriableError) and not isinstance(error.__cause__, OpenTransactionError):
                raise error.__cause__ from None
            raise DeliveryError(f"{error.__cause__ or error}. {HANGING}") from error
        first = [p for p, offset in self._group.committed(self._partitions).items() if offset is None]
        if first:  # else nothing would tell what the first transaction did
            self._deliver(delivery, [], {p: starts[p] for p in first})
        return starts

    def _messages(self, starts: Mapping[int, int]) -> Iterator[Message]:
        """Yield what there is now of the dead letters, from these offsets on."""
        topic = self._settings.dead_letters
        marks = {p: self._group.watermarks(topic, p) for p in starts}
        ends = {p: high for p, (low, high) in marks.items() if max(low, starts[p]) < high}
        begin = {p: max(marks[p][0], starts[p]) for p in ends}
        return read_records(self._settings.connection, topic, begin, ends)

    def _batches(self, starts: Mapping[int, int]) -> Iterator[list[Message]]:
        messages = self._messages(starts)
        while batch := list(itertools.islice(messages, _BATCH)):
            yield batch

    def _deliver(self, delivery: Delivery, records: list[Record], offsets: Mapping[int, int]) -> None:
        if not delivery.deliver(records, offsets, self._group.membership()):
            raise RetriableError("the dead letters were not sent back. Another redrive may be running; run it again")

    def _delivery(self) -> Delivery:
        patience, connection = Patience(_OUTAGE_S), self._settings.connection
        if self._cluster.embedded:
            return AtLeastOnce(self._group, RecordProducer(producer_config(connection)), patience, _PATIENCE_S)
        config = producer_config(connection, transactional_id=self._name)
        written = [(topic, p) for topic in self._topics for p in self._partitions]
        forgotten = Forgotten(written, self._admin.ends, self._settled, others_s=self._others_s)
        return ExactlyOnce(self._group, lambda: RecordProducer(config), patience, self._positions, forgotten)

    def _settled(self, partitions: Collection[int] | None) -> bool:
        return self._group.settled(self._partitions if partitions is None else partitions)

    def close(self) -> None:
        """Disconnect."""
        self._group.close()


@dataclass(slots=True, kw_only=True)
class _Resending:
    """How far a redrive is. `uncertain`: what was handed over last, by place, until it is known to be final."""

    choose: Callable[[Pending], Resend | None]
    largest: Mapping[str, int]
    tries: int = 0
    done: Counter[str] = field(default_factory=Counter)
    uncertain: dict[tuple[int, int], str] = field(default_factory=dict)

    def settled(self, places: Iterable[tuple[int, int]]) -> None:
        """Count those of these that were handed over: they are final."""
        found = [place for place in places if place in self.uncertain]
        self.done.update(self.uncertain.pop(place) for place in found)


def _outcome(pending: Pending, choice: Resend | None, topic: str) -> tuple[str, Record]:
    m, letter = pending.message, pending.letter
    if letter is None or choice is None:
        return "put back", Record(m.topic, m.partition, m.key, m.value, m.headers)
    outcome = "sent as they were" if choice.value == m.value else "sent corrected"
    return outcome, Record(topic, letter.partition, m.key, choice.value, letter.headers)

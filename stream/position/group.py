"""A consumer group as seen from outside: its offsets, and where its partitions begin."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from features.errors import DeliveryError
from stream.client.client import Config, TopicPartition, translate
from stream.client.errors import RESET_OFFSETS, RetriableError, translated
from stream.client.reading import ANSWER_S, Reading
from stream.client.records import About, Beginning, Committed, Message, Trace
from stream.position.proofs import FalseClaims

__all__ = ["Group"]

CALL_S = 1.0  # for questions that are asked again when time is up: a signal is seen in between


class Group(Reading):
    """A group's offsets in one topic; each partition begins where `start` says. It is no member."""

    rebalances = 0

    def __init__(self, config: Config, topic: str, start: "Start | None" = None) -> None:
        """Connect in the background.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        super().__init__(config, topic, RESET_OFFSETS)
        self._start = start
        self.false_claims = FalseClaims()
        self.waits: dict[int, DeliveryError] = {}  # why partitions cannot begin
        self._place: dict[int, int] = {}  # where partitions go on that are not read now, as far as is known
        self._left_out: dict[int, dict[int, About]] = {}  # decided, and still ahead
        self._halves: dict[int, dict[int, Trace]] = {}  # decided in half, and still ahead
        self._before: dict[int, dict[int, Trace]] = {}  # earlier decisions of what is still ahead

    def committed(self, partitions: Iterable[int]) -> dict[int, int | None]:
        """Return the group's committed offsets, None where there is none; waits for transactions under way."""
        return {p: committed.offset for p, committed in self._ask(partitions, ANSWER_S).items()}

    def settled(self, partitions: Iterable[int]) -> bool:
        """Return whether no open transaction holds back the group's offset in any of these."""
        try:
            self._ask(partitions, CALL_S)
        except RetriableError:
            return False
        return True

    def begin(self, partitions: Collection[int]) -> dict[int, int]:
        """Ask where partitions begin; return those of which it is known. `waits` tells why the others cannot.

        Raises:
            RetriableError: it is known of none. `start` may raise its own.

        """
        committed, self.waits = self._ask_each(partitions, CALL_S)
        self._place.update({p: c.offset for p, c in committed.items() if c.offset is not None})
        found = {} if self._start is None else self._start(self, committed)
        begun = {p: beginning for p, beginning in found.items() if isinstance(beginning, Beginning)}
        self.waits.update({p: error for p, error in found.items() if isinstance(error, DeliveryError)})
        for p, beginning in begun.items():
            self._left_out[p], self._halves[p] = dict(beginning.decided), dict(beginning.halves)
            self._before[p] = dict(beginning.before)
        return {p: beginning.offset for p, beginning in begun.items()}

    def refuse_waiting(self) -> None:
        """Raise why the first of those cannot begin that were asked for last, if there is one."""
        for error in self.waits.values():
            raise error

    def undecided(self, messages: list[Message]) -> list[Message]:
        """Leave out what is decided already, and forget it."""
        if not any(self._left_out.values()):
            return messages
        return [m for m in messages if not self._is_settled(m)]

    def _is_settled(self, message: Message) -> bool:
        about = self._left_out[message.partition].pop(message.offset, None)
        if about is None or about(message):
            return about is not None
        self.false_claims(message)
        return False

    def halves(self, messages: list[Message]) -> dict[tuple[int, int], Message]:
        """Return by partition and offset what is there of messages that are decided in half, and forget it."""
        if not any(self._halves.values()):
            return {}
        found = [(m, self._halves[m.partition].pop(m.offset, None)) for m in messages]
        return {m.place: half.record for m, half in found if half is not None and half.about(m)}

    def before(self, messages: list[Message]) -> dict[tuple[int, int], Message]:
        """Return by partition and offset an earlier decision of messages, and forget it."""
        if not any(self._before.values()):
            return {}
        found = [(m, self._before.get(m.partition, {}).pop(m.offset, None)) for m in messages]
        return {m.place: trace.record for m, trace in found if trace is not None and trace.about(m)}

    def ahead(self, partition: int) -> bool:
        """Return whether messages that are decided already lie ahead in a partition."""
        return bool(self._left_out.get(partition) or self._halves.get(partition))

    def rewind(self) -> None:
        """Forget where partitions begin: it is to be asked for again."""
        self._left_out, self._halves, self._before = {}, {}, {}

    def membership(self) -> Any:
        """Return the proof of being a member now, by which the broker refuses the writes of one that was replaced."""
        return self._consumer.consumer_group_metadata()

    def _ask(self, partitions: Iterable[int], seconds: float) -> dict[int, Committed]:
        found, errors = self._ask_each(partitions, seconds)
        for error in errors.values():
            raise error
        return found

    def _ask_each(
        self, partitions: Iterable[int], seconds: float
    ) -> tuple[dict[int, Committed], dict[int, DeliveryError]]:
        asked = [TopicPartition(self.topic, p) for p in partitions]
        with translate(f"ask for the committed offsets of {self.topic}"):
            answered = self._consumer.committed(asked, seconds) if asked else []
        doing = f"ask for the committed offset of {self.topic} partition"
        errors = {p.partition: translated(p.error, f"{doing} {p.partition}") for p in answered if p.error is not None}
        found = {
            p.partition: Committed(p.offset if p.offset >= 0 else None, p.metadata or "")
            for p in answered
            if p.error is None
        }
        return found, errors


# where to begin, or why that is not known
Start = Callable[[Group, Mapping[int, Committed]], Mapping[int, Beginning | DeliveryError]]

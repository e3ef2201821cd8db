"""A client that reads one topic: messages as they have arrived, and where the topic ends."""

from collections.abc import Collection, Mapping

from features.errors import DeliveryError
from stream.client.client import (
    ClientMessage,
    Config,
    Consumer,
    KafkaError,
    Notes,
    TopicPartition,
    build,
    positions,
    to_message,
    translate,
)
from stream.client.errors import (
    MembershipEndedError,
    OffsetGoneError,
    ProtocolRefusedError,
    RetriableError,
    UnreadableError,
    ended_for_good,
    translated,
)
from stream.client.records import MOST_HEADERS, Message

ANSWER_S = 10.0  # for questions
_MARKS_S = 5.0
_STOP = {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "_BAD_MSG", "_LOG_TRUNCATION"}
MOST_BYTES = 32 << 20  # of messages in hand, and a few more
_AT_ONCE = 16
# a fatal error of a consumer has no other code than that it is one
_NOT_SUPPORTED, _HELD = (
    KafkaError(code).str() for code in (KafkaError.UNSUPPORTED_VERSION, KafkaError.UNRELEASED_INSTANCE_ID)
)


class Reading:
    """Reads one topic; which partitions, and from where on, its heirs say."""

    def __init__(self, config: Config, topic: str, gone: str) -> None:
        """Connect in the background. `gone`: what is to be done when the next offset is not there any more.

        Raises:
            SettingsError: the client library does not know a setting or refuses its value.

        """
        self.topic = topic
        self._gone, self._notes = gone, Notes()
        self._ended: set[int] = set()  # partitions of which nothing lies ahead
        self._fatal: KafkaError | None = None
        self._consumer: Consumer = build(Consumer, {"error_cb": self._told, **config})

    def arrived(self, most: int, wait_s: float) -> list[Message]:
        """Wait for a message, then return what has arrived with it, at most `most` and about `MOST_BYTES`.

        Raises:
            OffsetGoneError, DeliveryError: the topic cannot be read from.

        """
        with translate(f"read {self.topic}"):
            first = self._consumer.poll(wait_s)
            self._refuse_fatal()
            return [] if first is None else self._with_what_arrived(first, most)

    def _told(self, error: KafkaError) -> None:
        """Take note of what the client says outside of any answer."""
        if ended_for_good(error):
            self._fatal = error
        self._notes(error)

    def _refuse_fatal(self) -> None:
        """Raise what the client said last: it goes on without a word, and reads nothing any more."""
        if self._fatal is None:
            return
        said = self._fatal.str()
        if _HELD in said:
            raise DeliveryError(
                f"read {self.topic}: {said}. Another worker bears the same static id (group.instance.id), or bore it "
                "and was killed, and its session has not ended yet. Start again; if that goes on, give each its own."
            )
        kind = ProtocolRefusedError if _NOT_SUPPORTED in said else MembershipEndedError
        raise kind(
            f"read {self.topic}: the client ended its membership: {self._fatal.name()} ({said}). Is a static id "
            "(group.instance.id) used twice, is an assignor set that the group's other members do not know, or a group "
            "protocol that the brokers do not know or have switched off (group.version 0; --group-protocol classic)?"
        )

    def _with_what_arrived(self, first: ClientMessage, most: int) -> list[Message]:
        """Take a few at a time: the client's headers, of which one message may have 80,000, go when they are read."""
        taken, size, some = list[Message](), 0, [first]
        while some:
            read = [to_message(m, MOST_HEADERS) for m in some if not self._failed(m)]
            taken += read
            size += sum(m.size for m in read)
            left = most - len(taken) if size < MOST_BYTES else 0
            some = self._consumer.consume(min(left, _AT_ONCE), 0) if left else []
        return taken

    def _unreadable(self, where: str, _partition: int) -> None:
        """Do what is to be done about a partition with a batch that cannot be unpacked."""
        raise UnreadableError(where)

    def at_end(self, partitions: Collection[int]) -> bool:
        """Return whether nothing lies ahead in these; known only with `enable.partition.eof` in the config."""
        return self._ended.issuperset(partitions)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset that is still there and the one after the last."""
        try:
            with translate(f"ask for the offsets of {topic}"):
                return self._consumer.get_watermark_offsets(TopicPartition(topic, partition), _MARKS_S)
        except RetriableError:
            with translate(f"ask for the partitions of {topic}"):
                self._consumer.list_topics(topic, _MARKS_S)  # it hears of new ones and new leaders in no other way
            raise

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the group's offsets outside a transaction."""
        with translate(f"commit offsets of {self.topic}"):
            self._consumer.commit(offsets=positions(self.topic, offsets), asynchronous=False)

    def close(self) -> None:
        """Leave the group, if it had joined, and disconnect."""
        with translate("leave the group"):
            self._consumer.close()

    def _failed(self, message: ClientMessage) -> bool:
        error, partition = message.error(), message.partition() or 0
        if error is None:
            self._ended.discard(partition)
            return False
        if error.name() == "_PARTITION_EOF":
            self._ended.add(partition)
            return True
        where = f"{message.topic() or self.topic} partition {message.partition()}"
        if error.name() == "_AUTO_OFFSET_RESET":
            raise OffsetGoneError(f"{where}: the next offset is not there any more. {self._gone}")
        if error.name() == "_BAD_COMPRESSION":
            self._unreadable(f"{where} offset {message.offset()}: {error.name()} ({error.str()})", partition)
            return True
        if ended_for_good(error):  # it comes here, or to `_told`
            self._fatal = error
            self._refuse_fatal()
        if error.name() in _STOP:
            raise translated(error, where)
        self._notes(error)
        return True

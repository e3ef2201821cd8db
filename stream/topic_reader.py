"""All partitions of a topic read from given offsets, outside any group; a group's offsets are set to be looked at."""

import logging
from collections.abc import Mapping

from features.errors import DeliveryError, SettingsError
from stream.client import (
    ClientMessage,
    Config,
    Consumer,
    Notes,
    TopicPartition,
    build,
    positions,
    to_message,
    translate,
)
from stream.client_settings import member_config
from stream.cluster import ANSWER_S, Admin
from stream.errors import OffsetGoneError
from stream.records import Message

log = logging.getLogger(__name__)

_MOST = 500


class TopicReader:
    """Reads committed records of one topic."""

    def __init__(self, connection: Config, topic: str, group: str) -> None:
        """Connect.

        Raises:
            SettingsError: the topic does not exist, or the client refuses a setting.
            DeliveryError: the brokers do not answer.

        """
        self.topic, self._notes = topic, Notes()
        cluster = Admin(connection).cluster(topic)
        self.cluster_id, self.partitions = cluster.cluster_id, cluster.partitions.get(topic, 0)
        if not self.partitions:
            raise SettingsError(f"topic {topic} does not exist. Check --brokers and the topic's name.")
        embedded = {"fetch.wait.max.ms": 10} if cluster.embedded else {}
        self._consumer: Consumer = build(
            Consumer, {"fetch.queue.backoff.ms": 5, **embedded, **member_config(connection, group)}
        )

    def watermarks(self) -> dict[int, tuple[int, int]]:
        """Return by partition the first offset that is there and the one after the last."""
        with translate(f"ask for the offsets of {self.topic}"):
            return {
                p: self._consumer.get_watermark_offsets(TopicPartition(self.topic, p), ANSWER_S)
                for p in range(self.partitions)
            }

    def read_from(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions, from these offsets on."""
        with translate(f"read {self.topic}"):
            self._consumer.assign(positions(self.topic, offsets))

    def take(self, wait_s: float) -> list[Message]:
        """Return what has arrived, after waiting for the first.

        Raises:
            OffsetGoneError, DeliveryError: the topic cannot be read from.

        """
        with translate(f"read {self.topic}"):
            first = self._consumer.poll(wait_s)
            taken = [] if first is None else [first, *self._consumer.consume(_MOST, 0)]
        return [to_message(m) for m in taken if not self._failed(m)]

    def show_progress(self, offsets: Mapping[int, int]) -> None:
        """Set the group's offsets, by which tools show how far behind it is; nothing begins from them."""
        try:
            with translate(f"commit offsets of {self.topic}"):
                self._consumer.commit(offsets=positions(self.topic, offsets), asynchronous=False)
        except DeliveryError as error:
            log.warning("how far the log is could not be shown to the brokers: %s", error)

    def close(self) -> None:
        """Disconnect."""
        with translate("disconnect"):
            self._consumer.close()

    def _failed(self, message: ClientMessage) -> bool:
        error = message.error()
        if error is None:
            return False
        where = f"{self.topic} partition {message.partition()}"
        if error.name() == "_AUTO_OFFSET_RESET":
            raise OffsetGoneError(f"{where}: the next receipt is not there any more.")
        if error.fatal() or error.name() == "TOPIC_AUTHORIZATION_FAILED":
            raise DeliveryError(f"{where}: {error.name()} ({error.str()})")
        self._notes(error)
        return True

"""All partitions of a topic read from given offsets, outside any group; a group's offsets are set to be looked at."""

import logging
from collections.abc import Mapping

from features.errors import DeliveryError
from stream.client.client import Config, positions, translate
from stream.client.cluster import Admin
from stream.client.errors import no_topic
from stream.client.reading import Reading
from stream.client.records import Message
from stream.settings.client_settings import member_config

__all__ = ["TopicReader"]

log = logging.getLogger(__name__)

_MOST = 500


class TopicReader(Reading):
    """Reads committed records of one topic."""

    def __init__(self, connection: Config, topic: str, group: str) -> None:
        """Connect.

        Raises:
            SettingsError: the topic does not exist, or the client refuses a setting.
            DeliveryError: the brokers do not answer.

        """
        cluster = Admin(connection).cluster(topic)
        self.cluster_id, self.partitions = cluster.cluster_id, cluster.partitions.get(topic, 0)
        if not self.partitions:
            raise no_topic(topic)
        embedded = {"fetch.wait.max.ms": 10} if cluster.embedded else {}
        own = {"fetch.queue.backoff.ms": 5, "enable.partition.eof": True, **embedded}
        super().__init__(
            {**member_config(connection, group), **own}, topic, "What was there is lost; --from-earliest goes on."
        )

    def extents(self) -> dict[int, tuple[int, int]]:
        """Return by partition the first offset that is there and the one after the last."""
        return {p: self.watermarks(self.topic, p) for p in range(self.partitions)}

    def read_from(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions, from these offsets on."""
        self._ended.clear()
        with translate(f"read {self.topic}"):
            self._consumer.assign(positions(self.topic, offsets))

    def heard(self) -> dict[int, int]:
        """Return where each partition that is read ends, as far as the last fetch saw."""
        ends = {}
        for p in self._consumer.assignment():
            at = self._consumer.get_watermark_offsets(p, cached=True)[1]
            if at >= 0:
                ends[p.partition] = at
        return ends

    def take(self, wait_s: float, most: int = _MOST) -> list[Message]:
        """Return what has arrived, at most `most`, after waiting for the first.

        Raises:
            OffsetGoneError, DeliveryError: the topic cannot be read from.

        """
        return self.arrived(most, wait_s)

    def show_progress(self, offsets: Mapping[int, int]) -> None:
        """Set the group's offsets, by which tools show how far behind it is; nothing begins from them."""
        try:
            self.commit(offsets)
        except DeliveryError as error:
            log.warning("how far the log is could not be shown to the brokers: %s", error)

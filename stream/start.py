"""What is checked before the first message is read, and where each partition begins."""

import logging
from collections.abc import Mapping
from typing import Any

from features.errors import DeliveryError, SettingsError
from stream.broker import GroupConsumer
from stream.client import Config
from stream.cluster import Admin, read_records
from stream.dead_letters import HEADROOM_BYTES
from stream.errors import RESET_OFFSETS, OffsetGoneError
from stream.records import Cluster
from stream.settings import TopicSettings

log = logging.getLogger(__name__)


def check_topics(cluster: Cluster, source: str, *targets: str) -> None:
    """Check that the topics exist, differ, and have the same number of partitions.

    Raises:
        SettingsError: naming the topic and what to do.

    """
    topics = (source, *targets)
    if len(set(topics)) != len(topics):
        raise SettingsError(
            f"topics {', '.join(topics)}: expected different topics for input, output and dead letters."
        )
    for topic in topics:
        if not cluster.partitions.get(topic):
            raise SettingsError(f"topic {topic} does not exist. Create it, for example with `credit stream topics`.")
        if cluster.partitions[topic] != cluster.partitions[source]:
            raise SettingsError(
                f"topic {topic} has {cluster.partitions[topic]} partitions, {source} has {cluster.partitions[source]}: "
                "expected as many, since a decision goes to the partition number of its application. Add partitions."
            )


def check_sizes(admin: Admin, source: str, output: str, dead_letters: str) -> int:
    """Check that a message of the largest size fits into the dead letters; return the largest batch for all targets.

    Raises:
        SettingsError: it does not fit.

    """
    largest, room = admin.largest_message(source), admin.largest_message(dead_letters)
    if room < largest + HEADROOM_BYTES:
        raise SettingsError(
            f"topic {dead_letters}: max.message.bytes is {room}, expected at least {largest + HEADROOM_BYTES}: a "
            f"message of the largest size in {source} must fit with a dead letter's headers. Raise it, as with "
            f"kafka-configs --alter --topic {dead_letters} --add-config max.message.bytes={largest + HEADROOM_BYTES}"
        )
    return min(room, admin.largest_message(output))


class FirstOffsets:
    """Where a partition begins: at the committed offset; without one, at the earliest if this is the first start."""

    def __init__(self, config: Config, targets: tuple[str, ...], *, earliest: bool) -> None:
        """`targets`: output and dead letters. `earliest`: the operator accepts to begin at the earliest anyway."""
        self._config, self._targets, self._earliest = config, targets, earliest

    def __call__(self, consumer: GroupConsumer, committed: Mapping[int, int | None]) -> dict[int, int]:
        """Return where each partition begins.

        Raises:
            DeliveryError: going on would jump over messages or decide them again.

        """
        return {partition: self._first(consumer, partition, offset) for partition, offset in committed.items()}

    def _first(self, consumer: GroupConsumer, partition: int, offset: int | None) -> int:
        low, high = consumer.watermarks(consumer.topic, partition)
        if offset is not None and low <= offset <= high:
            return offset
        if self._earliest:
            log.warning("partition %s of %s begins at its earliest offset %s", partition, consumer.topic, low)
            return low
        if offset is not None:
            raise OffsetGoneError(
                f"{consumer.topic} partition {partition}: the group's next offset is {offset}, but the topic holds "
                f"{low} to {high}. Messages may be lost (retention, or a topic made anew). {RESET_OFFSETS}"
            )
        for target in self._targets:
            self._refuse_second_start(consumer, target, partition)
        return low

    def _refuse_second_start(self, consumer: GroupConsumer, target: str, partition: int) -> None:
        low, high = consumer.watermarks(target, partition)
        written: Any = low < high and next(
            read_records(self._config, target, {partition: low}, {partition: high}), None
        )
        if low == high > 0 or written:
            raise DeliveryError(
                f"{consumer.topic} partition {partition}: this group has no offset, but {target} holds or held records "
                f"there. Its offsets may have expired, or the group's name is new. {RESET_OFFSETS}"
            )


def create_missing(admin: Admin, settings: TopicSettings, partitions: int, replicas: int) -> list[tuple[str, int, str]]:
    """Create the topics that do not exist; return each topic with its partitions and whether it is new.

    Raises:
        DeliveryError: the brokers refuse, for example more copies than brokers.

    """
    found = admin.cluster().partitions
    rows = []
    for topic in (settings.input, settings.output, settings.dead_letters):
        there = found.get(topic, 0)
        if not there:
            settings_of = {}
            if topic == settings.dead_letters:
                settings_of["max.message.bytes"] = str(admin.largest_message(settings.input) + HEADROOM_BYTES)
            admin.create_topic(topic, partitions, replicas, settings_of)
        rows.append((topic, there or partitions, "was there" if there else "created"))
    return rows

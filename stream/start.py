"""What is checked of the topics before the first message is read."""

import time

from features.errors import DeliveryError, SettingsError
from stream.client.cluster import ANSWER_S, Admin
from stream.client.records import Cluster
from stream.dead_letters import HEADROOM_BYTES
from stream.settings.settings import TopicSettings

__all__ = ["create_missing"]


def check_topics(cluster: Cluster, source: str, *targets: str, growing: bool = False) -> None:
    """Check that the topics exist, differ, and have the same number of partitions.

    `growing`: targets may have more, or fewer: partitions that they lack begin once they are there.

    Raises:
        SettingsError: naming the topic and what to do.

    """
    topics = (source, *targets)
    if len(set(topics)) != len(topics):
        raise SettingsError(
            f"topics {', '.join(topics)}: expected different topics for input, output, dead letters and receipts."
        )
    for topic in topics:
        if not cluster.partitions.get(topic):
            raise SettingsError(f"topic {topic} does not exist. Create it, for example with `credit stream topics`.")
        if cluster.partitions[topic] != cluster.partitions[source] and not growing:
            raise SettingsError(
                f"topic {topic} has {cluster.partitions[topic]} partitions, {source} has {cluster.partitions[source]}: "
                "expected as many, since a decision goes to the partition number of its application. Add partitions."
            )


def check_sizes(admin: Admin, source: str, output: str, *roomy: str) -> int:
    """Check that a message of the largest size fits into `roomy`: the dead letters, and the receipts if there are any.

    Returns the largest batch for all targets.

    Raises:
        SettingsError: it does not fit.

    """
    least = admin.largest_message(source) + HEADROOM_BYTES
    room = {topic: admin.largest_message(topic) for topic in roomy}
    for topic, size in room.items():
        if size < least:
            raise SettingsError(
                f"topic {topic}: max.message.bytes is {size}, expected at least {least}: a message of the largest size "
                f"in {source} must fit with what a dead letter or a receipt adds. Raise it, as with "
                f"kafka-configs --alter --topic {topic} --add-config max.message.bytes={least}"
            )
    return min(*room.values(), admin.largest_message(output))


def create_missing(admin: Admin, settings: TopicSettings, partitions: int, replicas: int) -> list[tuple[str, int, str]]:
    """Create the topics that do not exist; return each topic with its partitions and whether it is new.

    Raises:
        DeliveryError: the brokers refuse, for example more copies than brokers.

    """
    found = admin.cluster().partitions
    rows = []
    for topic in (settings.input, *settings.targets):
        there = found.get(topic, 0)
        if not there:
            settings_of = {"min.insync.replicas": str(max(1, replicas - 1))}
            if topic not in (settings.input, settings.output):
                settings_of["max.message.bytes"] = str(admin.largest_message(settings.input) + HEADROOM_BYTES)
            admin.create_topic(topic, partitions, replicas, settings_of)
        rows.append((topic, there or partitions, "was there" if there else "created"))
    _wait_until_shown(admin, {topic for topic, *_ in rows})
    return rows


def _wait_until_shown(admin: Admin, topics: set[str]) -> None:
    """Wait for brokers to show topics, which they create before each of them has heard of it."""
    end = time.monotonic() + ANSWER_S
    while hidden := sorted(topics - admin.partitions().keys()):
        if time.monotonic() > end:
            raise DeliveryError(f"created, but not shown by the brokers for {ANSWER_S:.0f} s: {', '.join(hidden)}")
        time.sleep(0.05)

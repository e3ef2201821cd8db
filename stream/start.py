"""What is checked of the topics before the first message is read."""

from features.errors import SettingsError
from stream.cluster import Admin
from stream.dead_letters import HEADROOM_BYTES
from stream.records import Cluster
from stream.settings import TopicSettings


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

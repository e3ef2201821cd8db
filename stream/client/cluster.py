"""What a cluster says of itself, its topics read from outside any group, and the embedded cluster."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager

from features.errors import DeliveryError
from stream.client.client import (
    AdminClient,
    Config,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    NewTopic,
    OffsetSpec,
    Producer,
    TopicCollection,
    TopicPartition,
    build,
    library_log,
    newest_versions,
    positions,
    to_message,
    topic_settings,
    translate,
)
from stream.client.errors import PersonNeededError, RetriableError, refused, translated
from stream.client.patience import CALL_S
from stream.client.records import Cluster, Message, Target

__all__ = ["Admin", "EmbeddedBroker", "read_records"]

ANSWER_S = 10.0
_NO_GROUP = "GROUP_AUTHORIZATION_FAILED"  # of no meaning where offsets are given: the client asks all the same


class Admin:
    """What a cluster says of itself, and new topics."""

    def __init__(self, config: Config) -> None:
        """Connect in the background."""
        self._config = config
        self._brokers, self._problems = config["bootstrap.servers"], list[KafkaError]()
        self._admin: AdminClient = build(AdminClient, {**config, "error_cb": self._problems.append})

    def cluster(self, *topics: str) -> Cluster:
        """Return the cluster's id and numbers of partitions; the embedded broker makes topics that are asked for."""
        with self._explained():
            answer = self._admin.list_topics(timeout=ANSWER_S)
            found = Cluster(answer.cluster_id or "", {name: len(t.partitions) for name, t in answer.topics.items()})
            if found.embedded:
                found.partitions.update(
                    {n: len(self._admin.list_topics(n, ANSWER_S).topics[n].partitions) for n in topics}
                )
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add to a failure what the client said first: a refused password tells more than a time that is up."""
        try:
            with translate("ask the brokers for their topics"):
                yield
        except DeliveryError as error:
            self._admin.poll(0)
            told = [e for e in self._problems if e.name() != "_ALL_BROKERS_DOWN"]
            first = next(filter(refused, told), told[0] if told else None)
            reason = f"{first.name()} ({first.str()})" if first else error
            kind = PersonNeededError if first and refused(first) else type(error)
            raise kind(
                f"{self._brokers}: no answer from the brokers: {reason}. Check the address, and TLS and SASL settings."
            ) from error

    def consumer_protocol(self) -> bool:
        """Return whether all brokers know the group protocol of Kafka 4.0 as this client speaks it.

        Older ones know a draft of it, take no notice of this client's, and would leave it without partitions.
        """
        with self._explained():
            return newest_versions(self._config, ANSWER_S).get("ConsumerGroupHeartbeat", 0) >= 1

    def partitions(self) -> dict[str, int]:
        """Return the number of partitions of each topic, as the brokers say now.

        Raises:
            DeliveryError: no answer now.

        """
        with translate("ask the brokers for their topics"):
            return {name: len(t.partitions) for name, t in self._admin.list_topics(timeout=CALL_S).topics.items()}

    def members(self, group: str, topic: str) -> tuple[str, list[tuple[str, str, list[int]]]]:
        """Return a group's state and its members: the name each gave, its host, and its partitions of a topic."""
        with translate(f"ask for the members of the group {group}"):
            found = self._admin.describe_consumer_groups([group], request_timeout=ANSWER_S)[group].result()
        held = [(m, m.assignment.topic_partitions if m.assignment else []) for m in found.members]
        members = [(m.client_id, m.host, [t.partition for t in of if t.topic == topic]) for m, of in held]
        return found.state.name.lower(), members

    def largest_message(self, topic: str) -> int:
        """Return the topic's max.message.bytes."""
        return int(self._setting(topic, "max.message.bytes"))

    def compacted(self, topic: str) -> bool:
        """Return whether a record of a topic may go while older ones stay."""
        return "compact" in self._setting(topic, "cleanup.policy")

    def retention_ms(self, topic: str) -> int:
        """Return how long a topic keeps records, -1: for ever."""
        return int(self._setting(topic, "retention.ms"))

    def topic_id(self, topic: str) -> str:
        """Return the id that a topic has since it was made: one that was made anew has another."""
        with translate(f"ask for the id of {topic}"):
            answer = self._admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_S)[topic].result()
        return str(answer.topic_id)

    def _setting(self, topic: str, name: str) -> str:
        return self.settings(topic)[name]

    def settings(self, topic: str) -> dict[str, str]:
        """Return the topic's settings."""
        resource = topic_settings(topic)
        with translate(f"ask for the settings of {topic}"):
            answer = self._admin.describe_configs([resource], request_timeout=ANSWER_S)[resource].result()
        return {name: str(entry.value) for name, entry in answer.items()}

    def replicas(self) -> tuple[list[int], dict[str, list[list[int]]]]:
        """Return the ids of the brokers, and by topic the brokers that hold each partition."""
        with self._explained():
            answer = self._admin.list_topics(timeout=ANSWER_S)
        held = {n: [list(t.partitions[p].replicas) for p in sorted(t.partitions)] for n, t in answer.topics.items()}
        return sorted(answer.brokers), held

    def ends(self, targets: Collection[Target], *, committed: bool) -> dict[Target, int]:
        """Return the offset behind the last record; with `committed`, behind the last outside open transactions.

        Partitions of which there is no answer now are left out.

        Raises:
            RetriableError: no answer at all.

        """
        if not targets:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, partition): latest for topic, partition in targets}
        found: dict[Target, int] = {}
        try:
            answers = self._admin.list_offsets(asked, isolation_level=level, request_timeout=CALL_S)
        except KafkaException as error:
            raise translated(error.args[0], "ask for the ends of topics") from error
        for p, answer in answers.items():
            try:
                found[p.topic, p.partition] = answer.result().offset
            except KafkaException as error:
                failed = error
        if len(found) < len(asked):
            with translate("ask the brokers for their topics"):
                self._admin.list_topics(timeout=CALL_S)  # this client learns of new leaders in no other way
        if not found:
            raise RetriableError(f"ask for the ends of topics: {failed.args[0].name()}") from failed
        return found

    def create_topic(self, topic: str, partitions: int, replicas: int, settings: dict[str, str]) -> None:
        """Create a topic."""
        new = NewTopic(topic, partitions, replicas, config=settings)
        with translate(f"create {topic}"):
            self._admin.create_topics([new], request_timeout=ANSWER_S)[topic].result()


def read_records(
    config: Config, topic: str, starts: Mapping[int, int], ends: Mapping[int, int], isolation: str = "read_committed"
) -> Iterator[Message]:
    """Yield what is committed in the partitions of a topic, from `starts` up to `ends` (exclusive) or what there is.

    `isolation` read_uncommitted: also what was aborted or is not yet committed.
    """
    own = {
        "group.id": "none",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 10,  # the end is known when a fetch comes back empty
    }
    consumer: Consumer = build(Consumer, {**config, **own, "isolation.level": isolation})
    waiting, last = set(starts), time.monotonic()
    with translate(f"read {topic}"), closing(consumer):
        consumer.assign(positions(topic, starts))
        while waiting:
            if time.monotonic() - last > ANSWER_S:
                raise RetriableError(f"{topic}: could not be read for {ANSWER_S:.0f} s")
            for m in consumer.consume(500, 0.1):
                error, partition, offset = m.error(), m.partition() or 0, m.offset() or 0
                if error is None and offset < ends[partition]:
                    last = time.monotonic()
                    yield to_message(m)
                elif error is None or error.name() == "_PARTITION_EOF":
                    waiting.discard(partition)
                elif not error.retriable() and error.name() != _NO_GROUP:
                    raise translated(error, f"read {topic}")


class EmbeddedBroker:
    """Librdkafka's mock cluster, for demos and quick tests: at-least-once only, and it forgets old messages."""

    def __init__(self, *topics: str) -> None:
        """Start it on a free port of the loopback interface, with topics of four partitions."""
        self._cluster = Producer({"test.mock.num.brokers": 1}, logger=library_log())
        broker = self._cluster.list_topics(timeout=ANSWER_S).brokers[1]
        self.address = f"{broker.host}:{broker.port}"
        for topic in topics:
            self._cluster.list_topics(topic, timeout=ANSWER_S)

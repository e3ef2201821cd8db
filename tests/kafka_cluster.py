"""Three real brokers for the tests, as `make kafka-cluster` starts them: three copies, two of them in sync."""

import contextlib
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

from stream.dead_letters import HEADROOM_BYTES
from tests.kafka_broker import PROJECT, KafkaServer
from tests.waiting import PATIENCE_S, wait_until

NODES = (1, 2, 3)


@dataclass
class KafkaCluster:
    """The nodes by their number. A node that is killed or stopped is started again with its data."""

    nodes: dict[int, KafkaServer]

    @classmethod
    def start(cls, folder: Path, version: str = "", more: str = "") -> "KafkaCluster":
        """Start three nodes and wait until each can be asked and has heard of the others. `more`: properties."""
        folder.mkdir(parents=True, exist_ok=True)
        extra = folder / "extra.properties"
        extra.write_text((PROJECT / "stream/kafka/cluster.properties").read_text() + more)
        nodes = {n: KafkaServer(folder / f"node-{n}", extra=extra, version=version) for n in NODES}
        voters = ",".join(f"{n}@127.0.0.1:{node.controller_port}" for n, node in nodes.items())
        same = {"KAFKA_VOTERS": voters, "KAFKA_CLUSTER_ID": "credit-scoring-3-nodes", "KAFKA_COPIES": "3"}
        for n, node in nodes.items():
            node.among = {**same, "KAFKA_NODE": str(n)}
            node.begin()
        made = cls(nodes)
        try:
            for node in nodes.values():
                node.wait()
            assert wait_until(made.whole), "three brokers"
        except BaseException:
            made.stop()
            raise
        return made

    @property
    def address(self) -> str:
        return ",".join(node.address for node in self.nodes.values())

    @functools.cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0, "reconnect.backoff.max.ms": 500})

    def whole(self) -> bool:
        """Whether all brokers are there, and every partition has all its copies in sync."""
        with contextlib.suppress(ck.KafkaException):
            found = self.admin.list_topics(timeout=5)
            copies = [p for topic in found.topics.values() for p in topic.partitions.values()]
            return len(found.brokers) == len(self.nodes) and all(len(p.isrs) == len(p.replicas) for p in copies)
        return False

    def create(self, *topics: str, partitions: int = 4, roomy: bool = False) -> None:
        settings = {"max.message.bytes": str(1_048_588 + HEADROOM_BYTES * roomy), "min.insync.replicas": "2"}
        admin = self.admin
        for future in admin.create_topics([NewTopic(t, partitions, 3, config=settings) for t in topics]).values():
            future.result(PATIENCE_S)
        # which broker is asked is chance, and one may not have heard yet
        for _ in range(10):
            assert wait_until(lambda: set(topics) <= admin.list_topics(timeout=30).topics.keys())

    def grow(self, topic: str, partitions: int) -> None:
        for future in self.admin.create_partitions([NewPartitions(topic, partitions)]).values():
            future.result(PATIENCE_S)

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition."""
        return int(self.admin.list_topics(topic, timeout=30).topics[topic].partitions[partition].leader)

    def coordinator(self, group: str) -> int:
        """The node that leads a consumer group."""
        described = self.admin.describe_consumer_groups([group], request_timeout=30)[group].result(60)
        return int(described.coordinator.id)

    def stop(self) -> None:
        """End all at once: asked to, the last ones would wait for a majority that has ended before them."""
        for node in self.nodes.values():
            with contextlib.suppress(AttributeError):  # it was not begun
                node.kill()


@contextlib.contextmanager
def three_brokers(folder: Path, more: str = "") -> Iterator[KafkaCluster]:
    """A cluster that is stopped for certain."""
    cluster = KafkaCluster.start(folder, more=more)
    try:
        yield cluster
    finally:
        cluster.stop()


@dataclass
class Silence:
    """Notes by partition when something came, and the longest time without."""

    last: dict[int, float]
    longest: dict[int, float]

    @classmethod
    def of(cls, partitions: int) -> "Silence":
        return cls(dict.fromkeys(range(partitions), time.monotonic()), dict.fromkeys(range(partitions), 0.0))

    def came(self, partition: int) -> None:
        now = time.monotonic()
        self.longest[partition] = max(self.longest.get(partition, 0.0), now - self.last.get(partition, now))
        self.last[partition] = now

    def end(self) -> dict[int, float]:
        """The longest silence of each partition; begins anew."""
        for partition in self.last:
            self.came(partition)
        found, self.longest = self.longest, dict.fromkeys(self.last, 0.0)
        return found

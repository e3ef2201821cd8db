"""What of the topics does not fit, and the command of Kafka's own that mends it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stream.client.cluster import Admin
from stream.dead_letters import HEADROOM_BYTES
from stream.settings.settings import TopicSettings

__all__ = ["check_fit"]

LEAST_RETENTION_MS = 3 * 24 * 3_600_000  # an outage over a weekend
_NEVER = -1
_DELETE = "delete"


class Finding(NamedTuple):
    """What does not fit: the topic, what is the matter with it, and the command that mends it."""

    topic: str
    problem: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A topic as the brokers have it: the brokers that hold each partition, and its settings."""

    replicas: Sequence[Sequence[int]]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCheck:
    """Compares the topics with what the stream door needs. `copies`: how many of each record there should be."""

    settings: TopicSettings
    copies: int
    brokers: Sequence[int]
    layouts: Mapping[str, Layout]

    def findings(self) -> list[Finding]:
        """Return what does not fit, by topic in the order of their use."""
        return [finding for topic in self._topics for finding in self._of(topic)]

    @property
    def _topics(self) -> tuple[str, ...]:
        return (self.settings.input, *self.settings.targets)

    def _of(self, topic: str) -> Iterator[Finding]:
        layout = self.layouts.get(topic)
        if layout is None:
            flags = " ".join(f"--{n.replace('_', '-')} {getattr(self.settings, n)}" for n in _FLAGS if self._given(n))
            command = f"credit stream topics --brokers {self.settings.brokers} {flags} --replicas {self.copies}"
            yield Finding(topic, "does not exist", f"{command} --partitions {max(self._most, 1)}")
            return
        yield from self._partitions(topic, layout)
        yield from self._copies(topic, layout)
        yield from self._sizes(topic, layout)
        yield from self._kept(topic, layout)

    def _given(self, name: str) -> bool:
        return bool(getattr(self.settings, name))

    @property
    def _most(self) -> int:
        return max((len(layout.replicas) for layout in self.layouts.values()), default=0)

    def _partitions(self, topic: str, layout: Layout) -> Iterator[Finding]:
        if len(layout.replicas) < self._most:
            yield Finding(
                topic,
                f"has {len(layout.replicas)} partitions, another topic has {self._most}: a decision goes to the "
                "partition number of its application. Those that lack wait; workers need not be stopped",
                self.settings.kafka("kafka-topics", f"--alter --topic {topic} --partitions {self._most}"),
            )

    def _copies(self, topic: str, layout: Layout) -> Iterator[Finding]:
        fewest = min(map(len, layout.replicas), default=0)
        if fewest < self.copies:
            yield Finding(topic, f"has {fewest} copies of a record, expected {self.copies}", self._more_copies(topic))
        wanted, least = max(1, self.copies - 1), int(layout.settings["min.insync.replicas"])
        if least < wanted:
            said = f"min.insync.replicas is {least}, expected {wanted}: else a broker that dies may take records along"
            yield Finding(topic, said, self._configure(topic, "min.insync.replicas", wanted))
        elif least >= fewest > 1:
            said = f"min.insync.replicas is {least} of {fewest} copies: nothing can be written while one broker is away"
            yield Finding(topic, said, self._configure(topic, "min.insync.replicas", max(1, fewest - 1)))
        if layout.settings.get("unclean.leader.election.enable") == "true":
            said = "unclean.leader.election.enable is true: committed records may be lost"
            yield Finding(topic, said, self._configure(topic, "unclean.leader.election.enable", "false"))

    def _more_copies(self, topic: str) -> str:
        if len(self.brokers) < self.copies:
            return (
                f"# the cluster has {len(self.brokers)} brokers; add some, or check with --replicas {len(self.brokers)}"
            )
        plan = {"version": 1, "partitions": [
            {"topic": topic, "partition": p, "replicas": self._spread(p, have)}
            for p, have in enumerate(self.layouts[topic].replicas)
        ]}  # fmt: skip
        move = self.settings.kafka("kafka-reassign-partitions", "--reassignment-json-file copies.json --execute")
        return f"echo '{json.dumps(plan)}' > copies.json && {move}"

    def _spread(self, partition: int, have: Sequence[int]) -> list[int]:
        at = partition % len(self.brokers)
        others = [b for b in (*self.brokers[at:], *self.brokers[:at]) if b not in have]
        return [*have, *others][: max(self.copies, len(have))]

    def _sizes(self, topic: str, layout: Layout) -> Iterator[Finding]:
        source = self.layouts.get(self.settings.input)
        if topic in {self.settings.input, self.settings.output} or source is None:
            return
        least, found = (
            int(source.settings["max.message.bytes"]) + HEADROOM_BYTES,
            int(layout.settings["max.message.bytes"]),
        )
        if found < least:
            said = f"max.message.bytes is {found}, expected {least}: the input's largest message and what is added"
            yield Finding(topic, said, self._configure(topic, "max.message.bytes", least))

    def _kept(self, topic: str, layout: Layout) -> Iterator[Finding]:
        policy = layout.settings["cleanup.policy"]
        if policy != _DELETE:
            said = f"cleanup.policy is {policy}, expected {_DELETE}: compaction drops all but a customer's last record"
            yield Finding(topic, said, self._configure(topic, "cleanup.policy", _DELETE))
        if topic == self.settings.output:
            return  # its readers know how long they need it
        kept = int(layout.settings["retention.ms"])
        if _NEVER < kept < LEAST_RETENTION_MS:
            said = f"retention.ms is {kept}, expected {LEAST_RETENTION_MS} at least: what nobody has read is gone"
            yield Finding(topic, said, self._configure(topic, "retention.ms", LEAST_RETENTION_MS))
        if int(layout.settings["retention.bytes"]) != _NEVER:
            said = "retention.bytes is set: many messages at once push out what nobody has read yet"
            yield Finding(topic, said, self._configure(topic, "retention.bytes", _NEVER))

    def _configure(self, topic: str, name: str, value: object) -> str:
        return self.settings.kafka(
            "kafka-configs", f"--alter --entity-type topics --entity-name {topic} --add-config {name}={value}"
        )


_FLAGS = ("input", "output", "dead_letters", "receipts")


def check_fit(admin: Admin, settings: TopicSettings, copies: int) -> list[Finding]:
    """Return what of the topics of these settings does not fit.

    Raises:
        DeliveryError: the brokers do not answer, or refuse to describe topics.

    """
    topics = (settings.input, *settings.targets)
    brokers, replicas = admin.replicas()
    there = {topic: replicas[topic] for topic in dict.fromkeys(topics) if replicas.get(topic)}
    layouts = {t: Layout(replicas=have, settings=admin.settings(t)) for t, have in there.items()}
    return TopicCheck(settings=settings, copies=copies, brokers=brokers, layouts=layouts).findings()

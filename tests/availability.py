"""Workers under a steady load on three brokers, and how long each partition is without a committed decision."""

import itertools
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import numpy as np

from tests.account import source
from tests.crowd import Crowd, Load
from tests.kafka_broker import PROJECT, KafkaServer
from tests.kafka_cluster import KafkaCluster, Silence
from tests.waiting import PATIENCE_S, wait_until


def copies() -> Iterator[tuple[bytes, bytes]]:
    """Messages that the worker which copies takes; every eleventh is refused."""
    for i in itertools.count():
        yield b"customer %d" % (i % 997), b"%s %d" % (b"bad" if i % 11 == 0 else b"good", i)


@dataclass
class Watch:
    """Reads the committed records of the targets while they come, from a thread of its own."""

    cluster: KafkaCluster | KafkaServer
    topics: tuple[str, ...]
    silence: Silence
    arrived: dict[tuple[int, int], float] = field(default_factory=dict)  # by place of the message: when first seen
    latest: dict[int, int] = field(default_factory=dict)  # the highest of these offsets, by partition
    doubled: int = 0

    def __enter__(self) -> "Watch":
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        settings = {"bootstrap.servers": self.cluster.address, "group.id": "watch", "enable.auto.commit": False}
        settings |= {"isolation.level": "read_committed", "fetch.wait.max.ms": 50, "reconnect.backoff.max.ms": 500}
        settings |= {"socket.timeout.ms": 3_000, "topic.metadata.refresh.interval.ms": 2_000}  # else a broker that is
        # frozen is waited for by the measuring, for a minute
        consumer = ck.Consumer({**settings, "auto.offset.reset": "earliest", "log_level": 0})
        known: set[int] = set()
        while not self._ended.is_set():
            new, known = self.silence.last.keys() - known, set(self.silence.last)
            if new:
                consumer.incremental_assign([ck.TopicPartition(t, p, 0) for t in self.topics for p in new])
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            self.silence.came(message.partition() or 0)
            pairs: Any = message.headers() or []
            headers = {name: bytes(value or b"") for name, value in pairs}
            place = source(_Placed(headers))  # type: ignore[arg-type]
            self.doubled += place in self.arrived
            self.arrived.setdefault(place, time.monotonic())
            self.latest[place[0]] = max(place[1], self.latest.get(place[0], -1))
        consumer.close()


@dataclass
class _Placed:
    headers: dict[str, bytes]


@dataclass
class Acked(Load):
    """A load that notes when each partition takes a message: how long Kafka itself needs."""

    silence: Silence = field(default_factory=lambda: Silence.of(0))
    began: dict[tuple[int, int], float] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)  # the highest offset, by partition

    def _note(self, error: ck.KafkaError | None, message: ck.Message) -> None:
        super()._note(error, message)
        if error is None and (offset := message.offset()) is not None:
            place = message.partition() or 0, offset
            self.silence.came(place[0])
            self.began[place] = time.monotonic() - (message.latency() or 0.0)
            self.latest[place[0]] = max(place[1], self.latest.get(place[0], -1))


@dataclass
class Availability:
    """A cluster, a load, workers that copy, and a watch of what they decide."""

    cluster: KafkaCluster
    folder: Path
    per_second: int = 300
    partitions: int = 4
    workers: int = 2
    topics: tuple[str, str, str, str] = ("applications", "decisions", "dead", "receipts")
    group: str = "credit"
    flags: tuple[str, ...] = ()
    longest: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def __enter__(self) -> "Availability":
        source_topic, output, dead, receipts = self.topics
        self.cluster.create(source_topic, output, partitions=self.partitions)
        self.cluster.create(dead, receipts, partitions=self.partitions, roomy=True)
        acks = Silence.of(self.partitions)
        self.load = Acked(self.cluster.address, source_topic, copies(), self.per_second, silence=acks)
        self.crowd = Crowd(self._command(), self.folder / "workers", self._environment(), PROJECT)
        self.watch = Watch(self.cluster, (output, dead), Silence.of(self.partitions))
        for _ in range(self.workers):
            self.crowd.start()
        self.watch.__enter__()
        self.load.start()
        assert wait_until(lambda: {p for p, _ in dict(self.watch.arrived)} == set(range(self.partitions)))
        self.silences()
        return self

    def __exit__(self, *_: object) -> None:
        self.load.cancel()
        for worker in self.crowd.alive:
            worker.kill()
            worker.wait()
        self.watch.__exit__()

    def _command(self) -> list[str]:
        source_topic, output, dead, receipts = self.topics
        values = {"brokers": self.cluster.address, "input": source_topic, "output": output, "dead-letters": dead}
        values |= {"receipts": receipts, "group": self.group}
        return [sys.executable, "-m", "tests.copy_worker", *(f"--{k}={v}" for k, v in values.items()), *self.flags]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(self.folder)}

    def silences(self) -> tuple[dict[int, float], dict[int, float]]:
        """By partition, the longest time without a decision and without a message that Kafka took; begins anew."""
        return self.watch.silence.end(), self.load.silence.end()

    def grown(self, partitions: int) -> None:
        """Have what was added watched, too."""
        now = dict.fromkeys(range(partitions), time.monotonic())
        for silence in (self.watch.silence, self.load.silence):
            silence.last = now | silence.last

    def caught_up(self, seconds: float = PATIENCE_S) -> bool:
        """Wait until each partition decides what Kafka takes from now on, and so all before it.

        Without what is new, this would be true at once while Kafka takes nothing, and the next fault would come before
        anybody has stood up from this one. Workers that end are started again, as a supervisor does.
        """
        sent = dict(self.load.latest)

        def decided() -> bool:
            self.crowd.replace_dead(self.workers)
            return all(self.watch.latest.get(p, -1) > sent.get(p, -1) for p in self.watch.silence.last)

        return wait_until(decided, seconds, 0.1)

    def says(self, fault: str, number: str = "") -> None:
        """Print the silences since the last call, and keep the longest for the table of faults."""
        decided, taken = self.silences()
        own = max(taken.values())
        each = ", ".join(f"{p}: {seconds:.1f}" for p, seconds in sorted(decided.items()))
        self.longest[fault].append((max(decided.values()), own))
        sys.stderr.write(f"\n{number}{fault}: longest time without a decision by partition {each} s; ")
        sys.stderr.write(f"Kafka took none for {own:.1f} s\n")

    def table(self) -> None:
        """Print for each kind of fault the longest times without a decision."""
        sys.stderr.write(
            "\n| fault | times | longest silence of a partition: median, longest | Kafka took none: longest |\n"
        )
        sys.stderr.write("| --- | --- | --- | --- |\n")
        for fault, found in self.longest.items():
            ours, own = np.array(found).T
            sys.stderr.write(
                f"| {fault} | {len(ours)} | {np.median(ours):.1f} s, {max(ours):.1f} s | {max(own):.1f} s |\n"
            )

    def says_waits(self, fault: str, since: float) -> None:
        """Print how long what was published since then waited for its decision."""
        arrived = dict(self.watch.arrived)
        waits = [arrived[p] - at for p, at in dict(self.load.began).items() if at > since and p in arrived]
        p50, p99, longest = np.percentile(waits, (50, 99, 100))
        sys.stderr.write(
            f"{fault}: from publishing to the committed decision p50 {p50:.2f} s, p99 {p99:.2f} s, longest "
            f"{longest:.2f} s of {len(waits)}\n"
        )

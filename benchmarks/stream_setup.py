"""What the benchmarks of the stream share: a broker of their own, messages of 30 events, contenders on one core."""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka as ck
import msgspec
import psutil

from recipes.synthetic import synthetic
from scoring.message.from_tables import encode_messages, every_column
from tests.kafka_broker import PROJECT, KafkaServer

EVENTS = 30
INPUT_LIMIT = 1_048_588
PARTITIONS = 4
_READ_S = 20.0


def messages_of_30_events(customers: int = 12_500) -> list[tuple[bytes, bytes]]:
    """(customer, message) pairs of the synthetic lender, each with the customer's last 30 events."""
    data = synthetic(customers, seed=1)
    pairs = []
    for m in encode_messages(data.applications, data.events, every_column(data.applications)):
        body = msgspec.json.decode(m.body)
        if len(body["events"]) >= EVENTS and m.customer_id:
            body["events"] = body["events"][-EVENTS:]
            pairs.append((m.customer_id.encode(), msgspec.json.encode(body)))
    return pairs


@contextmanager
def broker() -> Iterator[KafkaServer]:
    """Run a broker with data of its own on every core but the first, which is the contenders'."""
    with tempfile.TemporaryDirectory(prefix="benchmark-kafka-") as folder:
        server = KafkaServer(Path(folder) / "kafka").start()
        others = sorted(os.sched_getaffinity(0))[1:] or [0]
        for thread in psutil.Process(server.process.pid).threads():
            os.sched_setaffinity(thread.id, others)
        try:
            yield server
        finally:
            server.stop()


def fill(server: KafkaServer, topic: str, pairs: Sequence[tuple[bytes, bytes]], count: int) -> float:
    """Publish `count` messages, the pairs again and again; return their mean size in bytes."""
    settings = {"bootstrap.servers": server.address, "compression.type": "lz4", "linger.ms": 20}
    producer = ck.Producer({**settings, "queue.buffering.max.messages": 200_000})
    size = 0
    for key, value in itertools.islice(itertools.cycle(pairs), count):
        size += len(value)
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(120) == 0  # noqa: S101 - a benchmark of something else otherwise
    return size / count


@dataclass
class Contender:
    """A process that turns the input topic into decisions, on the first core alone."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    resident: list[tuple[int, int]] = field(default_factory=list)  # messages decided, bytes
    per_cpu_second: float = 0.0  # messages for each second of its own CPU time, which other load does not change

    def run(self, server: KafkaServer, output: str, count: int, patience_s: float = 600) -> float:
        """Run until `count` records are committed; return messages per second between the first and last arrival."""
        with self.started() as process:
            return self._watch(process, server, output, count, patience_s)

    @contextmanager
    def started(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the process on the first core alone, and end it."""
        core = str(min(os.sched_getaffinity(0)))
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", **self.environment}
        process = subprocess.Popen(  # noqa: S603
            ["/usr/bin/taskset", "-c", core, *self.command], env=environment, cwd=PROJECT, stderr=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def _watch(
        self, process: "subprocess.Popen[bytes]", server: KafkaServer, output: str, count: int, patience_s: float
    ) -> float:
        consumer, seen, end = reader(server, output), 0, time.monotonic() + patience_s
        watched, progress = psutil.Process(process.pid), []
        while seen < count:
            arrived = sum(m.error() is None for m in consumer.consume(5000, 0.05))
            if arrived:
                seen += arrived
                progress.append((time.monotonic(), seen, sum(watched.cpu_times()[:2])))
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name}: ended with {process.returncode} after {seen} of {count}")
            self.resident.append((seen, watched.memory_info().rss))
        consumer.close()
        (first, before, cpu), (last, after, cpu_after) = progress[0], progress[-1]
        self.per_cpu_second = (after - before) / max(cpu_after - cpu, 0.01)  # a clock tick, at tiny sizes
        return (after - before) / (last - first)


def reader(server: KafkaServer, topic: str) -> ck.Consumer:
    """Read a topic from its beginning, as committed."""
    consumer = ck.Consumer(
        {
            "bootstrap.servers": server.address,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",  # else an offset that a new topic's leader does not know yet means its end
        }
    )
    consumer.assign([ck.TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    return consumer


def ours(bundle: Path, server: KafkaServer, topics: tuple[str, str, str], group: str, *more: str) -> Contender:
    """The stream door as it is deployed."""
    source, output, dead = topics
    where = ["--brokers", server.address, "--input", source, "--output", output, "--dead-letters", dead]
    command = [sys.executable, "-m", "cli.main", "stream", "run", "--bundle", str(bundle), *where, "--group", group]
    return Contender("credit stream run, exactly-once", [*command, *more])

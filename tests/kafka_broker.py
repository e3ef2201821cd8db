"""A real Apache Kafka for the tests, started by the lines that `make kafka` runs, and a view of its topics."""

import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.waiting import PATIENCE_S, free_port

PROJECT = Path(__file__).parents[1]
_WITH_US = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []  # none outlives the tests
# What a process must not outlive is the thread that started it, so one that lives as long as the tests starts all.
_STARTER = ThreadPoolExecutor(max_workers=1)


@dataclass
class KafkaServer:
    """One broker on loopback. `kill` is kill -9; `start` uses the same data again."""

    data: Path
    extra: Path | None = None
    port: int = field(default_factory=free_port)
    controller_port: int = field(default_factory=free_port)
    version: str = ""  # another than that of `make kafka`
    among: Mapping[str, str] = field(default_factory=dict)  # what start.sh must know of a node among others

    @classmethod
    def steady(cls, data: Path) -> "KafkaServer":
        """One that is not started again: its controller gives it up late, so that a busy machine does not end it."""
        data.mkdir(exist_ok=True, parents=True)
        (data / "steady.properties").write_text("broker.session.timeout.ms=120000\n")
        return cls(data, extra=data / "steady.properties")

    @classmethod
    def behind(cls, data: Path, listening: int, told: int, more: str = "") -> "KafkaServer":
        """One that listens on a second port and tells its clients there to come by another, that of a link to it."""
        server = cls.steady(data)
        listeners = {"PLAINTEXT": server.port, "LINKED": listening, "CONTROLLER": server.controller_port}
        with (data / "steady.properties").open("a") as file:
            file.write("listeners=" + ",".join(f"{n}://127.0.0.1:{p}" for n, p in listeners.items()) + "\n")
            file.write(f"advertised.listeners=PLAINTEXT://127.0.0.1:{server.port},LINKED://127.0.0.1:{told}\n")
            file.write("listener.security.protocol.map=" + ",".join(f"{n}:PLAINTEXT" for n in listeners) + f"\n{more}")
        return server

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "KafkaServer":
        self.begin()
        self.wait()
        return self

    def begin(self) -> None:
        environment = {
            **os.environ,
            "KAFKA_LIB": str(PROJECT / (f".kafka/lib-{self.version}" if self.version else ".kafka/lib")),
            "KAFKA_VERSION": self.version,
            "KAFKA_DATA": str(self.data),
            "KAFKA_PORT": str(self.port),
            "KAFKA_CONTROLLER_PORT": str(self.controller_port),
            "KAFKA_CLUSTER_ID": f"credit-tests-{self.port}",  # else a Java process makes one up
            "KAFKA_EXTRA": "" if self.extra is None else str(self.extra),
            **self.among,
        }
        self.data.mkdir(exist_ok=True, parents=True)
        with (self.data / "server.log").open("a") as said:
            command = [*_WITH_US, str(PROJECT / "stream/kafka/start.sh")]
            self.process = _STARTER.submit(
                subprocess.Popen, command, env=environment, stdout=said, stderr=said
            ).result()

    def wait(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError((self.data / "server.log").read_text()[-2000:])
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except ck.KafkaException:
                time.sleep(0.1)
        raise RuntimeError(f"no broker after {PATIENCE_S:.0f} s: " + (self.data / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def create(self, *topics: str, partitions: int = 4, largest_message: int = 1_048_588) -> None:
        admin = AdminClient({"bootstrap.servers": self.address})
        settings = {"max.message.bytes": str(largest_message)}
        new = [NewTopic(t, partitions, 1, config=settings) for t in topics]
        for future in admin.create_topics(new).values():
            future.result(PATIENCE_S)

    def aborted_transactions(self, topic: str) -> set[tuple[int, int]]:
        """(producer id, epoch) of each transaction with an ABORT marker in the topic, from the broker's own files."""
        return {
            found
            for folder in self.data.glob(f"log/{topic}-*")
            for segment in folder.glob("*.log")
            for found in abort_markers(segment.read_bytes())
        }


RECORD_BATCH = struct.Struct(">qiibIhiqqqhii")  # magic 2: https://kafka.apache.org/documentation/#recordbatch
_CONTROL = 1 << 5


def abort_markers(log: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at + RECORD_BATCH.size <= len(log):
        length, attributes, producer, epoch = (RECORD_BATCH.unpack_from(log, at)[i] for i in (1, 5, 9, 10))
        if at + 12 + length > len(log):
            return  # it is just being written
        if attributes & _CONTROL:
            record = log[at + RECORD_BATCH.size : at + 12 + length]
            key = record[record.index(b"\x08") + 1 :]  # varint 4: the key is (version, type), two int16
            if struct.unpack_from(">hh", key)[1] == 0:
                yield producer, epoch
        at += 12 + length


@dataclass(frozen=True)
class Seen:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    header_list: list[tuple[str, bytes]]
    timestamp_ms: int


def read_topic(address: str, topic: str, *, isolation: str = "read_committed") -> list[Seen]:
    """All records of a topic up to its end, by a consumer of the test's own."""
    consumer = ck.Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
        }
    )
    partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
    consumer.assign([ck.TopicPartition(topic, p, 0) for p in partitions])
    waiting, seen = set(partitions), []
    end = time.monotonic() + PATIENCE_S
    while waiting:
        assert time.monotonic() < end, f"{topic}: no end of {waiting}"
        for m in consumer.consume(1000, 0.2):
            if (error := m.error()) is not None:
                if error.code() == ck.KafkaError._PARTITION_EOF:
                    waiting.discard(m.partition() or 0)
                continue
            pairs: Any = m.headers() or []
            headers = [(str(name), bytes(value or b"")) for name, value in pairs]
            seen.append(
                Seen(m.partition() or 0, m.offset() or 0, m.key(), m.value(), dict(headers), headers, m.timestamp()[1])
            )
    consumer.close()
    return seen

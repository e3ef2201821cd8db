"""Topics of their own on a real Apache Kafka, and workers there as processes, for the tests of the service."""

import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka as ck

from stream.dead_letters import HEADROOM_BYTES
from tests.kafka_broker import PROJECT, KafkaServer, read_topic
from tests.waiting import PATIENCE_S, wait_until

INPUT_LIMIT = 1_048_588


@dataclass
class Running:
    """A worker's process and what it says on standard error."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def ended(self) -> tuple[int, str]:
        code = self.process.wait(PATIENCE_S)
        return code, self.log.read_text()

    def stop(self) -> tuple[int, str]:
        self.process.terminate()
        return self.ended()

    def says(self, text: str) -> bool:
        """Wait until it has said this, or has ended; whether it has."""
        wait_until(lambda: self.process.poll() is not None or text in self.log.read_text())
        return text in self.log.read_text()


@dataclass
class Stage:
    """Topics of their own, and workers on them."""

    address: str
    folder: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    workers: list[Running] = field(default_factory=list)
    server: KafkaServer = field(init=False)

    @property
    def topics(self) -> tuple[str, str, str]:
        return f"in-{self.name}", f"out-{self.name}", f"dead-{self.name}"

    def create(self, server: KafkaServer) -> "Stage":
        self.server = server
        server.create(*self.topics[:2])
        server.create(self.topics[2], largest_message=INPUT_LIMIT + HEADROOM_BYTES)
        return self

    def worker(self, **flags: object) -> Running:
        source, output, dead = self.topics
        values = {"brokers": self.address, "input": source, "output": output, "dead-letters": dead, "group": self.name}
        values |= {name.replace("_", "-"): str(value) for name, value in flags.items()}
        return self._start("tests.copy_worker", *(f"--{k}={v}" for k, v in values.items()))

    def door(self, *flags: str) -> Running:
        """Start `credit stream run`."""
        return self._start("cli.main", "stream", "run", *flags)

    def _start(self, module: str, *arguments: str) -> Running:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(self.folder)}
        with (self.folder / f"worker-{len(self.workers)}.log").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], stderr=said, env=environment, cwd=PROJECT
            )
        self.workers.append(Running(process, Path(said.name)))
        return self.workers[-1]

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()

    def publish(self, *values: bytes | None, partition: int = 0) -> None:
        """Up to 10,000 small ones arrive at once, in one batch of the client."""
        settings = {"bootstrap.servers": self.address, "message.max.bytes": 10_000_000, "compression.type": "gzip"}
        producer, errors = ck.Producer({**settings, "linger.ms": 60_000}), []
        for value in values:
            producer.produce(self.topics[0], value, b"key", partition, on_delivery=lambda e, _: errors.append(e))
        assert producer.flush(PATIENCE_S) == 0
        assert not any(errors)

    def wait_for(self, decisions: int, dead_letters: int = 0) -> None:
        end = time.monotonic() + PATIENCE_S
        while (found := self.found()) != (decisions, dead_letters):
            assert time.monotonic() < end, found
            assert any(w.process.poll() is None for w in self.workers), self.workers[-1].log.read_text()
            time.sleep(0.2)

    def found(self) -> tuple[int, int]:
        return len(read_topic(self.address, self.topics[1])), len(read_topic(self.address, self.topics[2]))


def good(count: int) -> list[bytes]:
    return [f"good {i}".encode() for i in range(count)]


def bad(count: int) -> list[bytes]:
    return [f"bad {i}".encode() for i in range(count)]

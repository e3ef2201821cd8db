"""Workers under load for the kill harness: a load of messages, and processes that are killed, ended, started anew."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka as ck

_ABORTED = (b"the batch is read again", b"a transaction that was never ended is aborted")


@dataclass
class Load:
    """Publishes (key, value) pairs at a rate until ended; `sent` is what the broker acknowledged, by place.

    `somewhere`: acknowledged without a place, as a broker does that has a message already when it is sent once more.
    """

    address: str
    topic: str
    pairs: Iterable[tuple[bytes, bytes]]
    per_second: int
    sent: dict[tuple[int, int], tuple[bytes, bytes]] = field(default_factory=dict)
    somewhere: list[tuple[bytes, bytes]] = field(default_factory=list)

    def start(self) -> "Load":
        self._ended = threading.Event()
        settings = {"bootstrap.servers": self.address, "enable.idempotence": True, "delivery.timeout.ms": 300_000}
        settings |= {"topic.metadata.refresh.interval.ms": 2_000}
        self._producer = ck.Producer({**settings, "partitioner": "murmur2_random", "linger.ms": 2})
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        began = time.monotonic()
        for count, (key, value) in enumerate(self.pairs):
            while count > (time.monotonic() - began) * self.per_second:
                self._producer.poll(0.002)
            self._producer.produce(self.topic, value, key, on_delivery=self._note)
            if self._ended.is_set():
                return

    def _note(self, error: ck.KafkaError | None, message: ck.Message) -> None:
        pair, offset = (message.key() or b"", message.value() or b""), message.offset()
        if error is not None:
            return
        if offset is None:
            self.somewhere.append(pair)
        else:
            self.sent[message.partition() or 0, offset] = pair

    def cancel(self) -> None:
        self._ended.set()
        self._thread.join()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(120) == 0


class Crowd:
    """Worker processes, all started with the same command."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], cwd: Path) -> None:
        self.command, self.folder, self.environment, self.cwd = command, folder, environment, cwd
        self.alive: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []
        self.log_of: dict[int, Path] = {}
        self.own_exits: list[int] = []
        self.unready: list[int] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> subprocess.Popen[bytes]:
        log = self.folder / f"worker-{len(self.logs):03}.log"
        with log.open("wb") as said:
            worker = subprocess.Popen(self.command, stdout=said, stderr=said, env=self.environment, cwd=self.cwd)
        self.logs.append(log)
        self.log_of[worker.pid] = log
        self.alive.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        self._gone(worker)

    def _gone(self, worker: subprocess.Popen[bytes]) -> None:
        if worker in self.alive:  # else it ended by itself and was replaced meanwhile
            self.alive.remove(worker)

    def end(self, worker: subprocess.Popen[bytes]) -> None:
        """Ask a worker to end. It may just have ended by itself, as `replace_dead` allows: the report counts that."""
        self.wait_for(worker, b"health at")  # before that, it is not ready to be asked
        worker.terminate()
        code = worker.wait(120)
        assert code in (0, 4, 5), f"a worker that was asked to end ended with {code}"
        self.own_exits += [code] if code and worker in self.alive else []
        self._gone(worker)

    def wait_for(self, worker: subprocess.Popen[bytes], said: bytes, seconds: float = 300) -> None:
        """Wait until a worker has said something, or has ended by itself."""
        end = time.monotonic() + seconds
        while worker.poll() is None and said not in self.log_of[worker.pid].read_bytes():
            assert time.monotonic() < end, f"{said!r} was not said: " + self.log_of[worker.pid].read_text()[-2000:]
            time.sleep(0.1)

    def replace_dead(self, count: int) -> None:
        """Start workers anew, as a supervisor does, and note the exit codes of those that ended by themselves.

        One that finds no broker at its start ends with 4, so that a wrong address is told: these are `unready`.
        """
        for worker in self.alive:
            if worker.poll() is not None:
                ready = worker.returncode != 4 or b"health at" in self.log_of[worker.pid].read_bytes()
                (self.own_exits if ready else self.unready).append(worker.returncode)
        self.alive = [w for w in self.alive if w.returncode is None]
        while len(self.alive) < count:
            self.start()

    def owners(self) -> dict[int, subprocess.Popen[bytes]]:
        """Which worker reads which partition, by what the workers last said."""
        owners = {}
        for worker in self.alive:
            held: set[int] = set()
            for verb, numbers in re.findall(
                r"(assigned|given up): partitions \[([0-9, ]*)\]", self.log_of[worker.pid].read_text()
            ):
                said = {int(n) for n in numbers.split(",") if n.strip()}
                held = held | said if verb == "assigned" else held - said
            owners.update(dict.fromkeys(held, worker))
        return owners

    def aborts_logged(self) -> int:
        """How many transactions the workers themselves aborted, or may have."""
        return sum(log.read_bytes().count(said) for log in self.logs for said in _ABORTED)

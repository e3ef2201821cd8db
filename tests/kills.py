"""The kill harness: workers under load, killed, stopped, joined, on a broker that dies as well; then the account."""

import itertools
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka as ck

from tests.kafka import KafkaServer, Seen, read_topic

Command = Callable[[], list[str]]


@dataclass
class Load:
    """Publishes (key, value) pairs at a rate until ended; `sent` is what the broker acknowledged, by place."""

    address: str
    topic: str
    pairs: Iterable[tuple[bytes, bytes]]
    per_second: int
    sent: dict[tuple[int, int], tuple[bytes, bytes]] = field(default_factory=dict)

    def start(self) -> "Load":
        self._ended = threading.Event()
        settings = {"bootstrap.servers": self.address, "enable.idempotence": True, "delivery.timeout.ms": 300_000}
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
        if error is None:
            self.sent[message.partition() or 0, message.offset() or 0] = (message.key() or b"", message.value() or b"")

    def cancel(self) -> None:
        self._ended.set()
        self._thread.join()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(120) == 0


@dataclass
class Faults:
    """How often each fault happens."""

    kills: int = 30
    stops: int = 5
    broker_kills: int = 2
    rebalances: int = 3
    stop_s: float = 8.0
    seed: int = 1

    def order(self) -> list[str]:
        plan = ["kill"] * self.kills + ["stop"] * self.stops + ["rebalance"] * self.rebalances
        random.Random(self.seed).shuffle(plan)  # noqa: S311
        for i in range(self.broker_kills):
            plan.insert((i + 1) * len(plan) // (self.broker_kills + 1), "broker")
        return plan


class Crowd:
    """Worker processes, all started with the same command."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], cwd: Path) -> None:
        self.command, self.folder, self.environment, self.cwd = command, folder, environment, cwd
        self.alive: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []
        self.log_of: dict[int, Path] = {}
        self.unasked: list[int] = []
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
        self.alive.remove(worker)

    def end(self, worker: subprocess.Popen[bytes]) -> None:
        """Ask a worker to end. It may just have ended by itself, as `replace_dead` allows: the report counts that."""
        worker.terminate()
        code = worker.wait(20)
        assert code in (0, 4, 5), f"a worker that was asked to end ended with {code}"
        self.unasked += [code] if code else []
        self.alive.remove(worker)

    def replace_dead(self, count: int) -> list[int]:
        """Start workers anew, as a supervisor does; the exit codes of those that ended by themselves."""
        codes = [w.returncode for w in self.alive if w.poll() is not None]
        self.alive = [w for w in self.alive if w.returncode is None]
        while len(self.alive) < count:
            self.start()
        return codes

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
        return sum(log.read_bytes().count(b"the batch is read again") for log in self.logs)


@dataclass
class Report:
    sent: int
    lost: int
    doubled: int
    invented: int
    out_of_order: int
    kills_inside_a_transaction: int
    aborted_transactions: int
    faults: Counter[str]
    own_exits: list[int]
    seconds: float
    records: dict[str, list[Seen]]

    def line(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in vars(self).items() if name != "records")


@dataclass
class Torture:
    """Runs the plan; `output` and `dead_letters` are the targets."""

    server: KafkaServer
    load: Load
    crowd: Crowd
    output: str
    dead_letters: str
    faults: Faults = field(default_factory=Faults)

    def run(self) -> Report:
        began, self._random, own_exits = time.monotonic(), random.Random(self.faults.seed), []  # noqa: S311
        for _ in range(2):
            self.crowd.start()
        self._wait_for_progress()
        done: Counter[str] = Counter()
        self._tail = self._watch_output()
        for fault in self.faults.order():
            own_exits += self.crowd.replace_dead(2)
            getattr(self, f"_{fault}")()
            done[fault] += 1
        own_exits += self.crowd.replace_dead(2)
        self.load.end()
        records = self._settled()
        for worker in list(self.crowd.alive):
            self.crowd.end(worker)
        aborted = len(
            self.server.aborted_transactions(self.output) | self.server.aborted_transactions(self.dead_letters)
        )
        inside = aborted - self.crowd.aborts_logged()
        return Report(
            **account(self.load.sent, records),
            kills_inside_a_transaction=inside,
            aborted_transactions=aborted,
            faults=done,
            own_exits=own_exits + self.crowd.unasked,
            seconds=round(time.monotonic() - began),
            records=records,
        )

    def _kill(self) -> None:
        """Most kills hit the worker whose record is just seen, before its commit; the others come at any time."""
        self._wait_for_progress()
        if self._random.random() < 0.8:
            owners = self.crowd.owners()
            victim = owners.get(self._wait_for_progress())
        else:
            victim = None
            time.sleep(self._random.uniform(0, 0.5))
        self.crowd.kill(victim or self._random.choice(self.crowd.alive))

    def _stop(self) -> None:
        """Longer than the session timeout: the group gives its partitions away, and it comes back as a zombie."""
        self._wait_for_progress()
        worker = self._random.choice(self.crowd.alive)
        worker.send_signal(signal.SIGSTOP)
        time.sleep(self.faults.stop_s)
        worker.send_signal(signal.SIGCONT)
        time.sleep(1)

    def _rebalance(self) -> None:
        third = self.crowd.start()
        time.sleep(4)
        self._wait_for_progress()
        self.crowd.end(third)

    def _broker(self) -> None:
        self._wait_for_progress()
        self.server.kill()
        time.sleep(1)
        self.server.start()
        self._tail.close()
        self._tail = self._watch_output()
        self._wait_for_progress()

    def _watch_output(self) -> ck.Consumer:
        consumer = ck.Consumer(
            {
                "bootstrap.servers": self.server.address,
                "group.id": "watch",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
            }
        )
        topics = consumer.list_topics(self.output, timeout=10).topics
        consumer.assign([ck.TopicPartition(self.output, p, ck.OFFSET_END) for p in topics[self.output].partitions])
        return consumer

    def _wait_for_progress(self) -> int:
        """Return the partition of a new record at the moment it is seen, committed or not."""
        if not hasattr(self, "_tail"):
            self._tail = self._watch_output()
        while self._tail.consume(1000, 0):
            pass
        end = time.monotonic() + 90
        while True:
            message = self._tail.poll(1)
            if message is not None and message.error() is None:
                return message.partition() or 0
            assert time.monotonic() < end, "no progress for 90 s:\n" + self.crowd.logs[-1].read_text()[-2000:]

    def _settled(self) -> dict[str, list[Seen]]:
        end = time.monotonic() + 120
        while True:
            records = {t: read_topic(self.server.address, t) for t in (self.output, self.dead_letters)}
            if sum(map(len, records.values())) >= len(self.load.sent):
                time.sleep(1)  # what is doubled would still come
                return {t: read_topic(self.server.address, t) for t in (self.output, self.dead_letters)}
            if time.monotonic() > end:
                return records
            own = self.crowd.replace_dead(2)
            time.sleep(1 if not own else 2)


def source(record: Seen) -> tuple[int, int]:
    """The place of the application that a decision or dead letter belongs to."""
    h = record.headers
    if "source_offset" in h:
        return int(h["source_partition"]), int(h["source_offset"])
    return int(h["__connect.errors.partition"]), int(h["__connect.errors.offset"])


def account(sent: dict[tuple[int, int], tuple[bytes, bytes]], records: dict[str, list[Seen]]) -> dict[str, int]:
    counted = Counter(source(r) for seen in records.values() for r in seen)
    moved = sum(r.partition != source(r)[0] or r.key != sent[source(r)][0] for s in records.values() for r in s)
    disorder = 0
    for seen in records.values():
        for _, group in itertools.groupby(sorted(seen, key=lambda r: (r.partition, r.offset)), lambda r: r.partition):
            offsets = [source(r)[1] for r in group]
            disorder += sum(b <= a for a, b in itertools.pairwise(offsets))
    return {
        "sent": len(sent),
        "lost": len(sent.keys() - counted.keys()),
        "doubled": sum(count > 1 for count in counted.values()),
        "invented": len(counted.keys() - sent.keys()) + moved,
        "out_of_order": disorder,
    }

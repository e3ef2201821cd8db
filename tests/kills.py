"""The kill harness: workers under load, killed, stopped, joined, on a broker that dies as well; then the account."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import confluent_kafka as ck

from tests.account import Report, account, held, source
from tests.crowd import Crowd, Load
from tests.kafka_broker import KafkaServer, Seen, read_topic

LONGEST_S = 300  # without progress: twice what a broker and workers that wait for it take on a busy machine


@dataclass
class Faults:
    """How often each fault happens."""

    kills: int = 30
    inside: int = 10  # so many kills at least must fall between the first record and the commit
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


@dataclass
class Torture:
    """Runs the plan; `output` and `dead_letters` are the targets."""

    server: KafkaServer
    load: Load
    crowd: Crowd
    output: str
    dead_letters: str
    faults: Faults = field(default_factory=Faults)
    stuck: int = 0  # brokers that had to be restarted, because they gave no partition to any worker

    def run(self) -> Report:
        began, self._random, done = time.monotonic(), random.Random(self.faults.seed), Counter[str]()  # noqa: S311
        for _ in range(2):
            self.crowd.start()
        self._tail = self._watch_output()
        self._wait_for_progress()
        for fault in self._plan(done):
            self.crowd.replace_dead(2)
            getattr(self, f"_{fault}")()
            done[fault] += 1
        self.crowd.replace_dead(2)
        self.load.end()
        records = self._settled()
        for worker in list(self.crowd.alive):
            self.crowd.end(worker)
        self._tail.close()
        return Report(
            **account(held(self.load, read_topic(self.server.address, self.load.topic)), records),
            kills_inside_a_transaction=self._inside(),
            aborted_transactions=self._aborted(),
            faults=done,
            own_exits=self.crowd.own_exits,
            stuck_brokers=self.stuck,
            seconds=round(time.monotonic() - began),
            records=records,
        )

    def end(self) -> None:
        """End everything, whatever state it is in."""
        self.load.cancel()
        for worker in self.crowd.alive:
            worker.kill()
            worker.wait()
        self.server.stop()

    def _plan(self, done: Counter[str]) -> Iterator[str]:
        """Whether a kill falls into a transaction is chance: go on until enough did."""
        yield from self.faults.order()
        while self._inside() < self.faults.inside and done["kill"] < 4 * self.faults.kills:
            yield "kill"

    def _inside(self) -> int:
        return self._aborted() - self.crowd.aborts_logged()

    def _aborted(self) -> int:
        topics = (self.output, self.dead_letters)
        return len(set.union(*map(self.server.aborted_transactions, topics)))

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
        self.crowd.wait_for(third, b"assigned: partitions")
        self._wait_for_progress()
        self.crowd.end(third)

    def _broker(self) -> None:
        self._wait_for_progress()
        self._restart_broker()
        self._wait_for_progress()

    def _restart_broker(self) -> None:
        self.server.kill()
        time.sleep(1)
        self.server.start()
        self._tail.close()
        self._tail = self._watch_output()

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
        while self._tail.consume(1000, 0):
            pass
        end = time.monotonic() + LONGEST_S
        while True:
            message = self._tail.poll(1)
            if message is not None and message.error() is None:
                return message.partition() or 0
            self.crowd.replace_dead(2)  # as when the broker came back late
            if time.monotonic() > end and not self.stuck:  # seen once: Kafka gives no partition to anyone
                self._restart_broker()
                self.stuck, end = 1, time.monotonic() + LONGEST_S
            assert time.monotonic() < end, "no progress:\n" + self.crowd.logs[-1].read_text()[-2000:]

    def _settled(self) -> dict[str, list[Seen]]:
        end = time.monotonic() + LONGEST_S
        while True:
            records = {t: read_topic(self.server.address, t) for t in (self.output, self.dead_letters)}
            if {source(r) for seen in records.values() for r in seen} >= self.load.sent.keys():
                time.sleep(1)  # what is doubled would still come
                return {t: read_topic(self.server.address, t) for t in (self.output, self.dead_letters)}
            if time.monotonic() > end:
                return records
            self.crowd.replace_dead(2)
            time.sleep(1)

"""The proof of the history store: consumer, workers and readers are killed under load; nothing is lost or doubled.

On Apache Kafka, by the commands as a user runs them. Then the topic is read again and compared with the store, and the
batch over the store is held against each decision. CREDIT_HISTORY=30,100000 (`make soak`): so many kills and decisions.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path

import confluent_kafka as ck
import pytest

from history import StaleError, open_store
from recipes.dataset import Dataset
from scoring.message.from_tables import encode_events, encode_messages
from scoring.scorer import Scorer
from tests.account import account
from tests.conftest import PROJECT, Credit
from tests.crowd import Crowd, Load
from tests.kafka.test_history_topic import Topics, add_receipts
from tests.kafka_broker import Seen, read_topic
from tests.postgres import PostgresServer, find_tools
from tests.stage import Stage
from tests.waiting import wait_until

KILLS, DECISIONS = map(int, os.environ.get("CREDIT_HISTORY", "3,300").split(","))
PER_SECOND = 30 if KILLS < 10 else 400
STALE = "somebody else writes to this history store"
READ_ON = """
import random, sys, time
from history import open_store
store = open_store(sys.argv[1])
names = [name for name, _ in zip((n for n, _ in store.everybody()), range(300))]
while True:
    snapshot = store.read(random.sample(names, 20))
    last = {p: o for c in snapshot.customers for p, o in zip(c.records["partition"], c.records["offset"])}
    assert all(snapshot.state.positions[str(p)] > o for p, o in last.items()), "one instant"
    time.sleep(0.01)
"""


@dataclass
class Play:
    """Two topics under load, a consumer, a worker and a reader of the store; each is started anew when it ends."""

    topics: Topics
    stage: Stage
    scorer: Scorer
    server: PostgresServer | None
    others: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        folder, run = self.stage.folder, [sys.executable, "-m", "cli.main"]
        source, output, dead = self.stage.topics
        flags = [*self.topics.flags[2:], *self.store_flag]
        worker: list[object] = ["stream", "run", "--bundle", self.scorer.bundle.path, "--brokers", self.stage.address]
        worker += ["--input", source, "--output", output, "--dead-letters", dead, "--group", self.stage.name]
        worker += ["--receipts", self.receipts, "--history", self.store, "--history-max-age", 120]
        commands: dict[str, list[object]] = {
            "consumer": [*run, "history", "consume", *flags],
            "worker": [*run, *worker],
            "reader": [sys.executable, "-c", READ_ON, self.store],
        }
        self.crowds = {
            role: Crowd([str(word) for word in command], folder / role, self._environment(folder), PROJECT)
            for role, command in commands.items()
        }

    def _environment(self, folder: Path) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}

    @property
    def store(self) -> str:
        return str(self.topics.store)

    @property
    def store_flag(self) -> list[object]:
        return ["--store", self.store]

    @property
    def receipts(self) -> str:
        return f"receipts-{self.stage.name}"

    def keep_alive(self) -> bool:
        """Start anew what has ended."""
        for crowd in self.crowds.values():
            crowd.replace_dead(1)
        return True

    def positions(self) -> dict[str, int]:
        store = open_store(self.store)
        try:
            return dict(store.state().positions)
        finally:
            store.close()

    def decided(self) -> int:
        consumer = ck.Consumer({"bootstrap.servers": self.stage.address, "group.id": "none"})
        try:
            ends = [consumer.get_watermark_offsets(ck.TopicPartition(self.stage.topics[1], p), 10) for p in range(4)]
            return sum(high for _, high in ends)
        finally:
            consumer.close()

    def waiting(self) -> int:
        """How many applications no transaction of the worker has taken yet."""
        consumer = ck.Consumer({"bootstrap.servers": self.stage.address, "group.id": self.stage.name})
        partitions = [ck.TopicPartition(self.stage.topics[0], p) for p in range(4)]
        try:
            ends = [consumer.get_watermark_offsets(one, 10)[1] for one in partitions]
            taken = [max(one.offset, 0) for one in consumer.committed(partitions, 10)]
            return sum(ends) - sum(taken)
        finally:
            consumer.close()

    def goes_on(self, measure: Callable[[], object]) -> None:
        """Wait until it has changed; whoever ends meanwhile is started again."""
        before = measure()
        assert wait_until(lambda: self.keep_alive() and measure() != before, pause_s=0.5), self.logs()

    def kill(self, role: str) -> None:
        self.goes_on(self.decided if role == "worker" else self.positions)
        self.keep_alive()
        self.crowds[role].kill(self.crowds[role].alive[0])
        self.keep_alive()

    def zombie(self) -> None:
        """A consumer that stands still while another takes over, and wakes again."""
        crowd = self.crowds["consumer"]
        self.goes_on(self.positions)
        (sleeper,) = crowd.alive
        self._stop_outside_of_a_transaction(sleeper)
        crowd.alive.clear()
        self.others.append(sleeper)
        self.goes_on(self.positions)
        sleeper.send_signal(signal.SIGCONT)
        assert wait_until(lambda: self.keep_alive() and sleeper.poll() is not None)
        assert sleeper.returncode == 4
        assert STALE in " ".join(crowd.log_of[sleeper.pid].read_text().split())

    def _stop_outside_of_a_transaction(self, sleeper: "subprocess.Popen[bytes]") -> None:
        """One that holds the store's lock would hold up the other as well, until it wakes."""
        while True:
            sleeper.send_signal(signal.SIGSTOP)
            free = threading.Thread(target=self._write_nothing, daemon=True)
            free.start()
            free.join(10)
            if not free.is_alive():
                return
            sleeper.send_signal(signal.SIGCONT)
            free.join()

    def _write_nothing(self) -> None:
        with contextlib.closing(open_store(self.store)) as store, contextlib.suppress(StaleError):
            state = store.state()
            store.beat(state.heartbeat, state.ends)  # where another one wrote meanwhile, nobody holds it up either

    def restart_server(self) -> None:
        assert self.server is not None
        self.goes_on(self.decided)
        self.server.stop()
        self.server.start()

    def fall_back(self) -> None:
        """The server is replaced by one that holds less, as a replica that was behind."""
        assert self.server is not None
        data, kept = self.server.folder / "data", self.server.folder / "kept"
        self.server.stop()
        subprocess.run(["cp", "-a", data, kept], check=True)
        self.server.start()
        self.goes_on(self.positions)
        self.server.stop()
        shutil.rmtree(data)
        kept.rename(data)
        self.server.start()

    def logs(self) -> str:
        return "\n".join(crowd.logs[-1].read_text()[-1500:] for crowd in self.crowds.values() if crowd.logs)

    def end(self) -> None:
        for process in [*self.others, *(one for crowd in self.crowds.values() for one in crowd.alive)]:
            process.kill()
            process.wait()


def applications(dataset: Dataset, scorer: Scorer) -> Iterator[tuple[bytes, bytes]]:
    """All of them again and again, each with an id of its own."""
    spec = scorer.bundle.spec
    made = [m for m in encode_messages(dataset.applications, None, spec.attributes) if m.application_id]
    for number, message in zip(count(), cycle(made), strict=False):
        body = json.loads(message.body) | {"application_id": f"N{number}"}
        yield (message.customer_id or "").encode(), json.dumps(body).encode()


def events(dataset: Dataset) -> Iterator[tuple[bytes, bytes]]:
    """All events in another order, again and again."""
    made = list(encode_events(dataset.events.sample(fraction=1, shuffle=True, seed=3)))
    return ((name.encode(), text) for name, text in cycle(made) if name)


@pytest.fixture(params=["lmdb", "postgres"])
def play(
    request: pytest.FixtureRequest, stage: Stage, scorer: Scorer, training_folder: Path, credit: Credit
) -> Iterator[Play]:
    server = PostgresServer(find_tools()).make() if request.param == "postgres" else None
    topics = Topics(stage.address, stage.folder / "store", credit, f"e-{stage.name}").create()
    if server is not None:
        topics.store = server.database()  # type: ignore[assignment] # an address in its place
    made = credit("history", "init", "--spec", training_folder / "spec.toml", "--store", topics.store)
    assert made.returncode == 0, made.stderr
    add_receipts(topics, stage)
    played = Play(topics, stage, scorer, server)
    yield played
    played.end()
    if server is not None:
        server.stop()


def test_kills_zombies_and_restarts_lose_and_double_nothing_and_every_decision_is_reconciled(
    play: Play, dataset: Dataset, tmp_path: Path
) -> None:
    topics, stage, on_a_server = play.topics, play.stage, play.server is not None
    topics.publish(*[text for _, text in islice(events(dataset), 500)])
    assert topics.consume().returncode == 0
    told = Load(stage.address, topics.events, events(dataset), 3 * PER_SECOND).start()
    asked = Load(stage.address, stage.topics[0], applications(dataset, play.scorer), PER_SECOND).start()
    try:
        play.keep_alive()
        faults = ["zombie", *(["restart_server", "fall_back"] if on_a_server else [])]
        for _, role in zip(range(max(2, KILLS // 3) if on_a_server else KILLS), cycle(play.crowds), strict=False):
            play.kill(role)
            if faults:
                getattr(play, faults.pop(0))()
        while faults:
            getattr(play, faults.pop(0))()
        while len(asked.sent) < DECISIONS:
            play.goes_on(lambda: len(asked.sent))
        asked.end()
        told.end()
        while play.waiting():
            play.goes_on(play.waiting)
    finally:
        for load in (told, asked):
            load.cancel()
        play.end()
    found = account(asked.sent, decisions(stage))
    assert (found["lost"], found["doubled"], found["invented"]) == (0, 0, 0), found
    assert topics.consume().returncode == 0
    checked = topics.credit("history", "verify", *topics.flags)
    assert (checked.returncode, "0 lost, 0 doubled" in checked.stdout) == (0, True), checked.stdout + checked.stderr
    assert_reconciled(play, tmp_path / "log", len(decisions(stage)[stage.topics[1]]))


def decisions(stage: Stage) -> dict[str, list[Seen]]:
    return {topic: read_topic(stage.address, topic) for topic in stage.topics[1:]}


def assert_reconciled(play: Play, log: Path, decided: int) -> None:
    """Each decision is in the log; those that differ from the batch of now have a name, and some do."""
    bundles, brokers = play.scorer.bundle.path.parent, ("--brokers", play.stage.address)
    credit = play.topics.credit
    sealed = credit(
        "log", "consume", "--log", log, "--bundles", bundles, *brokers, "--topic", play.receipts, "--stop-when-idle", 2
    )
    assert sealed.returncode == 0, sealed.stderr
    done = credit("history", "reconcile", log, "--bundles", bundles, *play.store_flag, "--json")
    assert done.returncode == 0, done.stderr + done.stdout[:2000]
    report = json.loads(done.stdout)
    assert (report["decisions"], report["defects"], report["carried"]) == (decided, 0, 0)
    assert report["late"] > 0, "events went on coming"

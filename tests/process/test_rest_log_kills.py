"""The proof of door 3's receipts: workers killed 12 times (`make soak`: 200), half of them between write and answer."""

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from receipts.log.audit import audit
from receipts.log.read import frames
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from tests.rest_door import Door, start

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("CREDIT_KILLS", "12"))
CLIENTS = 4
SETTINGS = {"rate_limit": 0, "seal_seconds": 1}
_NUMBERS = itertools.count()


@dataclass
class Clients:
    """Threads that ask without a pause; `acknowledged` is what was answered with 200, by request id."""

    door: Door
    example: dict[str, Any]
    acknowledged: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    wrong: list[int] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _run(self) -> None:
        while not self.ended.is_set():
            connection = self.door.connect()
            try:
                while not self.ended.is_set():
                    self._ask(connection)
            except (HTTPException, OSError):
                self.broken += 1
                time.sleep(0.01)
            finally:
                connection.close()

    def _ask(self, connection: HTTPConnection) -> None:
        name = f"r{next(_NUMBERS)}"
        body = json.dumps(self.example | {"application_id": name}).encode()
        answer = self.door.ask_on(connection, "POST", "/v1/score", body, X_Request_ID=name)
        if answer.status == 200:
            self.acknowledged[name] = answer.json["decision_id"]
        else:
            self.wrong.append(answer.status)


def ready_workers(door: Door) -> list[int]:
    said = [(line["event"], line.get("pid", 0)) for line in door.lines()]
    return sorted({pid for event, pid in said if event == "worker_ready"} - {p for e, p in said if e == "worker_died"})


def test_killed_workers_lose_no_acknowledged_decision_and_double_no_receipt(
    bundle: Path, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, marks, chance = tmp_path / "log", tmp_path / "marks", random.Random(1)  # noqa: S311
    marks.mkdir()
    monkeypatch.setenv("MARKS", str(marks))
    arguments = ("--log", log, "--workers", 3)
    door = start(bundle, tmp_path / "door", "fastapi", *arguments, module="tests.killed_serve", **SETTINGS)
    clients = Clients(door, example_application(scorer.bundle.spec))
    clients.start()
    killed = 0
    try:
        end = time.monotonic() + 30 * KILLS
        while (between := len(list(marks.iterdir()))) + killed < KILLS or between < KILLS // 2:
            assert time.monotonic() < end, (between, killed)
            assert door.process.poll() is None, door.log.read_text()[-2000:]
            time.sleep(chance.uniform(0.1, 0.6))
            workers = ready_workers(door)
            if workers and killed < KILLS - KILLS // 2:
                with suppress(ProcessLookupError):  # it has just died by itself
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    killed += 1
    finally:
        clients.end()
        code = door.stop()
    found = pl.concat(frames(log, columns=["request_id", "decision_id", "application_id"]))
    kept = dict(found.select("request_id", "decision_id").iter_rows())
    sys.stderr.write(f"\n{killed} + {between} kills, {len(clients.acknowledged)} acknowledged, {len(kept)} receipts\n")
    assert (code, clients.wrong) == (0, [])
    assert found.height == len(kept), "no receipt twice"
    assert {name: kept.get(name) for name in clients.acknowledged} == clients.acknowledged, "none missing"
    assert not audit(log, ()).problems
    assert not list((log / "outbox").rglob("*.sqlite*"))

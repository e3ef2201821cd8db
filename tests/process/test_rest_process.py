"""Door 3 as a process: the death of a worker, a stop under load, and the end of the supervisor."""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import BadStatusLine
from pathlib import Path

import pytest

from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer
from tests.rest_door import FRAMEWORKS, Door, running, start
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.process

LONG_S = 40  # longer than what is waited for takes on a busy machine


@pytest.fixture(scope="module")
def decision(scorer: Scorer, good: bytes) -> bytes:
    (answer,) = MessageScorer(scorer).answer([good])
    return answer.decision or b""


@pytest.fixture(scope="module")
def pair(good: bytes, decision: bytes) -> tuple[bytes, bytes]:
    """An application and its decision."""
    return good, decision


@dataclass
class Load:
    """Clients that ask without a pause on kept connections. `lost`: requests that a server took and did not answer."""

    door: Door
    body: bytes
    answers: list[bytes] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        connection, served = self.door.connect(), 0
        while not self.stop.is_set():
            try:
                reply = self.door.ask_on(connection, "POST", "/v1/score", self.body)
                self.answers.append(reply.body if reply.status == 200 else b"%d" % reply.status)
                served = 0 if reply.headers.get("connection") == "close" else served + 1
            except ConnectionRefusedError:  # nobody listens any more: never accepted
                self.refused += 1
                connection.close()
                time.sleep(0.05)
            except (ConnectionError, BadStatusLine) as error:
                if served:
                    self.lost.append(type(error).__name__)
                connection.close()
                connection, served = self.door.connect(), 0
        connection.close()


def under_load(door: Door, body: bytes, act: Callable[[Load], None], clients: int = 8) -> Load:
    load = Load(door, body)
    with ThreadPoolExecutor(clients) as pool:
        done = [pool.submit(load.client) for _ in range(clients)]
        try:
            assert wait_until(lambda: len(load.answers) > 20)
            act(load)
        finally:
            load.stop.set()
        for client in done:
            client.result(PATIENCE_S)
    return load


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_killed_worker_is_replaced_and_no_answer_is_wrong(
    framework: str, bundle: Path, tmp_path: Path, good: bytes, decision: bytes
) -> None:
    with running(bundle, tmp_path, framework, "--workers", 2) as door:
        assert door.workers_ready(2)

        def kill_one(load: Load) -> None:
            victim = door.processes()[0]
            victim.kill()
            before = len(load.answers)
            assert wait_until(lambda: len(load.answers) > before + 50), "the other goes on"
            assert door.workers_ready(3)

        load = under_load(door, good, kill_one)
        assert set(load.answers) == {decision}
        assert len(load.lost) <= 8, "at most the one request that each client had in the dead worker"
        (death,) = [line for line in door.lines() if line["event"] == "worker_died"]
        assert death["exit"] == -signal.SIGKILL


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_stop_under_load_answers_every_accepted_request(
    framework: str, workers: int, bundle: Path, tmp_path: Path, pair: tuple[bytes, bytes]
) -> None:
    good, decision = pair
    with running(bundle, tmp_path, framework, "--workers", workers, stop_seconds=LONG_S) as door:

        def terminate(_load: Load) -> None:
            door.process.send_signal(signal.SIGTERM)
            assert door.process.wait(LONG_S) == 0, "it ends when it has answered, before the time for it is up"

        load = under_load(door, good, terminate)
        assert set(load.answers) == {decision}
        assert load.lost == []


def refuses_connections(door: Door) -> bool:
    try:
        door.raw().close()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_request_that_was_on_its_way_when_the_stop_came_is_answered(
    framework: str, bundle: Path, tmp_path: Path, good: bytes
) -> None:
    """On a kept connection, which looks idle to the server."""
    with running(bundle, tmp_path, framework, stop_seconds=LONG_S) as door:
        connection = door.connect()
        assert door.ask_on(connection, "POST", "/v1/score", good).status == 200
        door.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: refuses_connections(door))
        last = door.ask_on(connection, "POST", "/v1/score", good)
        assert (last.status, last.headers["connection"]) == (200, "close")
        connection.close()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_stalled_request_does_not_block_a_stop(framework: str, bundle: Path, tmp_path: Path) -> None:
    door = start(bundle, tmp_path, framework, stop_seconds=1, header_seconds=LONG_S, body_seconds=LONG_S)
    with door.raw() as connection:
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        door.process.send_signal(signal.SIGTERM)
        assert door.process.wait(LONG_S) == 0
    door.stop()


def test_workers_end_when_their_supervisor_is_killed(bundle: Path, tmp_path: Path) -> None:
    door = start(bundle, tmp_path, "fastapi", "--workers", 2)
    assert door.workers_ready(2)
    workers = door.processes()
    door.process.kill()
    door.stop()
    assert wait_until(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))

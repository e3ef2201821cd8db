"""Door 3 as a process: start, keys, rate, logs, the death of a worker, and a stop under load."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import BadStatusLine
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.rates import RateLimit
from monitoring.metrics import REST
from scoring.messages import MessageScorer
from scoring.schema import example_application
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.rest_door import FRAMEWORKS, Door, running, start
from tests.test_bundle import republish, shift_golden
from tests.waiting import PATIENCE_S, wait_until

LONG_S = 40  # longer than what is waited for takes on a busy machine


@pytest.fixture(scope="module")
def good(scorer: Scorer) -> bytes:
    return json.dumps(example_application(scorer.bundle.spec)).encode()


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


@pytest.mark.parametrize("workers", [1, 2])
def test_golden_rows_that_differ_in_one_bit_are_never_served(
    workers: int, bundle: Path, tmp_path: Path, credit: Credit
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    shift_golden(copy, 1e-7)
    done = credit("serve", "--bundle", republish(copy), "--port", 0, "--no-auth", "--workers", workers)
    assert done.returncode == 2
    assert "golden rows come out differently" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_key_that_is_revoked_is_refused_from_the_next_request_on(
    framework: str, bundle: Path, tmp_path: Path, good: bytes, credit: Credit
) -> None:
    with running(bundle, tmp_path, framework) as door:
        made = credit("key", "new", "--keys", door.keys, "--name", "second")
        second = made.stdout.strip()
        assert second not in door.keys.read_text()
        assert door.score(good, **{"X-API-Key": second}).status == 200
        assert door.score(good, **{"X-API-Key": "", "Authorization": f"Bearer {second}"}).status == 200
        forged = second[:12] + second[12:][::-1]
        assert door.score(good, **{"X-API-Key": forged}).json["code"] == "key_unknown"
        listed = credit("key", "list", "--keys", door.keys).stdout
        key_id = second.split("_")[1]
        assert key_id in listed
        assert second not in listed
        assert credit("key", "revoke", key_id, "--keys", door.keys).returncode == 0
        reply = door.score(good, **{"X-API-Key": second})
        assert (reply.status, reply.json["code"]) == (401, "key_unknown")
        assert door.score(good).status == 200
        door.keys.write_text("{")
        assert door.score(good).json["code"] == "keys_unreadable"
        assert door.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_too_many_requests_with_a_key_get_429(framework: str, bundle: Path, tmp_path: Path, good: bytes) -> None:
    with running(bundle, tmp_path, framework, "--rate-limit", 0.02) as door:  # one in 50 s
        replies = [door.score(good) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 429, 429]
        late = replies[-1]
        assert late.json["code"] == "rate_limited"
        assert 0 < int(late.headers["retry-after"]) <= 50


def test_a_rate_lets_so_many_through_at_once_and_so_many_each_second_for_each_key() -> None:
    now = 0.0
    limit = RateLimit(3, lambda: now)
    assert [limit.wait("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert limit.wait("b") == 0
    now = 0.4
    assert [limit.wait("a") for _ in range(2)] == [0, 1]
    now = 100.0
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 1]


def test_the_deadline_of_a_request_that_waits_is_kept(bundle: Path, tmp_path: Path, good: bytes) -> None:
    batch = b"[" + b",".join([good] * 1000) + b"]"
    for framework in FRAMEWORKS:
        with running(bundle, tmp_path / framework, framework, deadline_seconds=0.001) as door:
            reply = door.score(batch, "/v1/score/batch")
            assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "deadline_exceeded", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-auth", "--host", "0.0.0.0"), "is not loopback"),  # noqa: S104 - the very mistake
        (("--keys", "absent.json"), "credit key new"),
        (("--framework", "django"), "framework"),
        (("--workers", "0"), "workers"),
        (("--port", "1", "--no-auth", "--host", "192.0.2.1"), "loopback"),
    ],
)
def test_settings_that_cannot_be_used_end_with_2(
    arguments: tuple[str, ...], message: str, bundle: Path, credit: Credit
) -> None:
    done = credit("serve", "--bundle", bundle, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(bundle: Path, tmp_path: Path, credit: Credit) -> None:
    with running(bundle, tmp_path, "fastapi") as door:
        done = credit("serve", "--bundle", bundle, "--no-auth", "--port", door.port)
    assert done.returncode == 2
    assert f"port {door.port}" in done.stderr


def test_the_link_is_resolved_once(bundle: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundle)
    with running(link, tmp_path / "door", "fastapi", "--workers", 2) as door:
        assert door.workers_ready(2)
        link.unlink()
        door.processes()[0].kill()
        assert door.workers_ready(3)
        assert door.ask("GET", "/v1/bundle").json["bundle_id"] == bundle.name


def test_flags_come_before_the_environment_and_that_before_defaults(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_API_FRAMEWORK", "fastapi")
    with running(bundle, tmp_path, "flask", "--rate-limit", 0.02, rate_limit=1000) as door:
        (ready,) = [line for line in door.lines() if line["event"] == "ready"]
        assert ready["framework"] == "flask"
        assert {door.ask("GET", "/v1/schema").status for _ in range(3)} == {200, 429}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_value_of_a_request_is_in_an_error_or_a_log(
    framework: str, bundle: Path, tmp_path: Path, scorer: Scorer
) -> None:
    application = example_application(scorer.bundle.spec)
    marker = "mArKeR"
    with running(bundle, tmp_path, framework) as door:

        def check(body: bytes, path: str, headers: dict[str, str]) -> None:
            reply = door.ask("POST", path, body, **headers)
            assert reply.status < 500
            if reply.status != 200 and marker in body.decode("latin-1") + path + str(headers):
                assert marker not in reply.body.decode("latin-1")
                assert marker not in str(reply.headers)

        @settings(max_examples=150)
        @given(st.data())
        def plant(data: st.DataObject) -> None:
            message = json.loads(json.dumps(application))
            places = [message, message["attributes"], *message["events"]]
            for _ in range(data.draw(st.integers(1, 3))):
                place = data.draw(st.sampled_from(places))
                name = data.draw(st.sampled_from([*place, marker]))
                values: list[object] = [marker, [marker], {marker: marker}, f"\ud800{marker}", f"7{marker}"]
                place[name] = data.draw(st.sampled_from(values))
            path = data.draw(st.sampled_from(["/v1/score", "/v1/score/batch", f"/v1/{marker}", f"/v1/score?{marker}"]))
            odd = data.draw(st.sampled_from(["Content-Type", "Content-Encoding", "X-API-Key", "Cookie", "User-Agent"]))
            headers = {odd: marker} if data.draw(st.booleans()) else {}
            check(
                data.draw(st.sampled_from([json.dumps(message), json.dumps(message) + marker])).encode(), path, headers
            )

        plant()
        for raw in (
            f"GET /{marker} FOO\r\n\r\n",
            f"{marker} / HTTP/1.1\r\n\r\n",
            f"GET / HTTP/1.1\r\n{marker}\r\n\r\n",
        ):
            reply = door.send_raw(raw.encode())
            assert reply is not None
            assert marker not in reply.body.decode()
    assert door.lines()
    assert marker not in door.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_count_what_all_workers_did(workers: int, bundle: Path, tmp_path: Path, good: bytes) -> None:
    with running(bundle, tmp_path, "fastapi", "--workers", workers) as door:
        for _ in range(20):
            door.score(good)
        door.score(b"[" + good + b"]", "/v1/score/batch")
        door.score(b"{")
        text = door.ask("GET", "/metrics").body.decode()
    assert 'credit_rest_requests_total{path="/v1/score",status="200"} 20.0' in text
    assert 'credit_rest_problems_total{code="message_not_json"} 1.0' in text
    assert "credit_rest_round_applications_sum 22.0" in text
    assert 'credit_rest_request_seconds_count{path="/v1/score/batch"} 1.0' in text
    for metric in REST:
        assert f"# TYPE {metric.name} {metric.kind}" in text or metric.name == "credit_rest_request_seconds"


def test_every_line_of_the_log_is_json_and_names_the_request(bundle: Path, tmp_path: Path, good: bytes) -> None:
    with running(bundle, tmp_path, "fastapi") as door:
        door.score(good, **{"X-Request-ID": "trace-1"})
        door.score(b"{", **{"X-Request-ID": "trace 2"})
    requests = [line for line in door.lines() if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 400]
    assert requests[0]["request_id"] == "trace-1"
    assert requests[1]["request_id"] != "trace 2", "an id of another shape could be anything"
    assert requests[0]["key"] == door.key.split("_")[1]

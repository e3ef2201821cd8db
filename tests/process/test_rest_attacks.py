"""Attacks on door 3: while they go on, a normal request is answered within its deadline, and memory stays bounded."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.rest_door import Door, read_reply, running
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.process

DEADLINE_SECONDS = 20
MOST_GROWTH_BYTES = 150 << 20


@pytest.fixture(scope="module", params=["fastapi", "flask"])
def door(request: pytest.FixtureRequest, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("attacked")
    limits = {"header_seconds": 1, "body_seconds": 2, "idle_seconds": 600, "max_connections": 400}
    with running(bundle, folder, request.param, deadline_seconds=DEADLINE_SECONDS, **limits) as door:
        yield door


def memory(door: Door) -> int:
    return sum(process.memory_info().rss for process in door.processes())


@pytest.fixture
def normal(door: Door, good: bytes) -> Iterator[Callable[[], None]]:
    """Normal requests all through a test; at its end each was answered in time and memory had not grown."""
    seconds: list[float] = []
    stop = threading.Event()
    before = peak = memory(door)

    def requests() -> None:
        nonlocal peak
        while not stop.is_set():
            began = time.monotonic()
            assert door.score(good).status == 200
            seconds.append(time.monotonic() - began)
            peak = max(peak, memory(door))
            time.sleep(0.02)

    with ThreadPoolExecutor(1) as pool:
        running_requests = pool.submit(requests)
        yield lambda: None
        answered = len(seconds)
        wait_until(lambda: len(seconds) > answered or running_requests.done())
        stop.set()
        running_requests.result(PATIENCE_S)
    assert seconds
    assert max(seconds) < DEADLINE_SECONDS
    assert peak - before < MOST_GROWTH_BYTES


def head(door: Door, more: str = "", key: str = "") -> bytes:
    lines = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: {key or door.key}\r\n"
    return (lines + more).encode()


def closed(connections: list[socket.socket]) -> bool:
    """Whether the other side ends each connection, long before it would as an idle one; what it says is read."""
    for connection in connections:
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            continue
        finally:
            connection.close()
    return True


@pytest.mark.usefixtures("normal")
def test_slow_headers_are_closed(door: Door) -> None:
    connections = [door.raw() for _ in range(20)]

    def all_closed() -> bool:
        for connection in list(connections):
            try:
                connection.sendall(b"X")  # one byte at a time never makes a head
            except ConnectionError:
                connections.remove(connection)
                connection.close()
        return not connections

    assert wait_until(all_closed, pause_s=0.1)


@pytest.mark.usefixtures("normal")
def test_a_slow_body_is_answered_with_408_or_closed(door: Door) -> None:
    connections = [door.raw() for _ in range(20)]
    for connection in connections:
        connection.sendall(head(door, "Content-Length: 100000\r\n\r\n"))
    replies = []

    def all_answered() -> bool:
        for connection in select.select(connections, [], [], 0)[0]:
            connections.remove(connection)
            with connection:
                replies.append(read_reply(connection))
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b" ")
        return not connections

    assert wait_until(all_answered, pause_s=0.1)
    assert {reply.status for reply in replies if reply} == {408}
    assert all(reply.json["code"] == "body_too_slow" for reply in replies if reply)


@pytest.mark.usefixtures("normal")
def test_half_open_connections_are_closed(door: Door, good: bytes) -> None:
    nothing = [door.raw() for _ in range(50)]
    half = [door.raw() for _ in range(50)]
    for connection in half:
        connection.sendall(head(door, f"Content-Length: {len(good)}\r\n\r\n") + good[:20])
        connection.shutdown(socket.SHUT_WR)
    assert closed(nothing + half)


@pytest.mark.usefixtures("normal")
def test_200_connections_are_held(door: Door, good: bytes) -> None:
    connections = [door.connect() for _ in range(200)]
    assert all(door.ask_on(connection, "POST", "/v1/score", good).status == 200 for connection in connections)
    time.sleep(1)
    for connection in connections:
        connection.close()


@pytest.mark.usefixtures("normal")
def test_more_connections_than_allowed_push_out_those_that_wait(door: Door) -> None:
    connections = []
    for _ in range(600):
        with contextlib.suppress(OSError):
            connections.append(door.raw())
    assert sum(len(process.net_connections()) for process in door.processes()) < 450
    for connection in connections:
        connection.close()


@pytest.mark.usefixtures("normal")
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_bodies_of_100_megabytes_get_413(door: Door, *, chunked: bool) -> None:
    size, part = 100 << 20, b" " * (1 << 20)
    framing = "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {size}\r\n\r\n"
    for _ in range(3):
        with door.raw() as connection:
            connection.sendall(head(door, framing))
            with contextlib.suppress(ConnectionError, TimeoutError):
                for _ in range(100):
                    connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            reply = read_reply(connection)
        assert reply is not None, "the client can read why"
        assert (reply.status, reply.json["code"]) == (413, "body_too_large")


def test_a_refused_client_that_sends_on_is_not_cut_off(door: Door) -> None:
    """Else it may lose the answer, which says why: closing with bytes unread resets the connection."""
    for more in ("Content-Length: 20000000\r\n\r\n", "Content-Length: 20000000\r\nContent-Encoding: gzip\r\n\r\n"):
        with door.raw() as connection:
            connection.sendall(head(door, more))
            connection.sendall(bytes(20_000_000))
            reply = read_reply(connection)
        assert reply is not None
        assert reply.status in {413, 415}


@pytest.mark.usefixtures("normal")
def test_10_000_wrong_keys_are_refused(door: Door, good: bytes) -> None:
    def attack(number: int) -> set[int]:
        connection = door.connect()
        keys = [f"ck_{number:08x}_{i:043d}" for i in range(1250)]
        replies = [door.ask_on(connection, "POST", "/v1/score", good, **{"X-API-Key": key}) for key in keys]
        connection.close()
        return {reply.status for reply in replies}

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(attack, range(8))) == {401}


@pytest.mark.usefixtures("normal")
def test_clients_that_go_away_cost_nothing(door: Door, good: bytes) -> None:
    for _ in range(3):
        for _ in range(100):  # fewer than may wait, should the door see them all at once
            with door.raw() as connection:
                connection.sendall(head(door, f"Content-Length: {len(good)}\r\n\r\n") + good)
        assert door.score(good).status == 200


@pytest.mark.usefixtures("normal")
def test_bodies_of_a_batch_are_bounded_all_together(door: Door) -> None:
    """Each is within the limit of a batch, all together are not: those beyond it get 503, and none fills the memory."""
    body = b"[" + b" " * (15 << 20) + b"]"

    def send(_: int) -> int:
        return door.score(body, "/v1/score/batch").status

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(send, range(12))) <= {200, 503}


JUNK = {  # elements of a batch that take many times their bytes once they are read, and what becomes of the batch
    "numbers": (b"0", "batch_too_long"),
    "lists": (b"[]", "batch_too_long"),
    "texts": (b'"a"', "batch_too_long"),
    "objects": (b"{}", "batch_too_long"),
    "a large application": (
        b'{"attributes":{"months_employed":[' + b'"a",' * (3 << 20) + b"0]}}",
        "batch_element_too_large",
    ),
    "applications": (b'{"attributes":{"months_employed":[' + b'"a",' * 200_000 + b"0]}}", ""),
}


@pytest.mark.parametrize("kind", JUNK)
def test_a_batch_of_junk_does_not_fill_the_memory(door: Door, good: bytes, kind: str) -> None:
    element, code = JUNK[kind]
    body = b"[" + b",".join([element] * ((15 << 20) // (len(element) + 1))) + b"]"
    assert door.score(good).status == 200
    before = memory(door)
    for process in door.processes():
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
    answer = door.score(body, "/v1/score/batch")
    assert answer.json["code"] == code if code else answer.status == 200
    assert peak(door) - before < MOST_GROWTH_BYTES


def peak(door: Door) -> int:
    """The most resident memory of the workers, as the kernel has seen it."""
    texts = [Path(f"/proc/{process.pid}/status").read_text() for process in door.processes()]
    return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in texts) << 10

"""Door 3 byte by byte: both servers cut a stream of bytes into the same requests, so that none hides in another.

Each case ends the connection, and the statuses of all answers on it count, in order.
"""

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rest_door import FRAMEWORKS, Door, running

pytestmark = pytest.mark.process

CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def door(request: pytest.FixtureRequest, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with running(bundle, tmp_path_factory.mktemp("wire"), request.param) as door:
        yield door


def head(more: bytes, key: bytes = b"", line: bytes = b"POST /v1/score HTTP/1.1") -> bytes:
    lines = line + b"\r\nHost: x\r\nContent-Type: application/json\r\n"
    return lines + (b"X-API-Key: " + key + b"\r\n" if key else b"") + more + b"\r\n"


def get(target: bytes, more: bytes = b"Connection: close\r\n") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n"


def answers(door: Door, request: bytes) -> list[int]:
    """Send bytes and read until the other side closes; return the status of each answer."""
    said = b""
    with door.raw() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                said += part
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", said)]


CHUNKS = {  # what stands behind the head of a chunked request, and the answers
    "an extension": (b"1;a=b\r\n{\r\n0\r\n\r\n", [400, 200]),
    "a line feed alone in an extension": (b"1;a\n\r\n{\r\n0\r\n\r\n", [400]),
    "line feeds alone": (b"1\n{\n0\n\n", [400]),
    "a size beyond 64 bits": (b"1ffffffffffffffff\r\n{", [400]),
    "a size with a sign": (b"+1\r\n{\r\n0\r\n\r\n", [400]),
    "a chunk that is longer than it says": (b"1\r\n{{\r\n0\r\n\r\n", [400]),
    "an extension without end": (b"1;" + b"a" * 400_000, [431]),
    "a header behind": (b"1\r\n{\r\n0\r\nX-A: b\r\n\r\n", [400, 200]),
    "a length behind": (b"1\r\n{\r\n0\r\nContent-Length: 1\r\n\r\n", [400]),
    "another coding behind": (b"1\r\n{\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", [400]),
    "no header behind": (b"1\r\n{\r\n0\r\nnone\r\n\r\n", [400]),
    "headers without end behind": (b"1\r\n{\r\n0\r\nX-A: " + b"b" * 400_000, [431]),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_are_read_strictly(door: Door, name: str) -> None:
    chunks, statuses = CHUNKS[name]
    malformed = statuses[0] == 400 and len(statuses) == 1
    assert answers(door, head(CHUNKED, door.key.encode()) + chunks + (b"" if malformed else LAST)) == statuses


def test_a_header_behind_the_body_opens_no_door(door: Door, good: bytes) -> None:
    behind = b"%x\r\n%b\r\n0\r\nX-API-Key: %b\r\n\r\n" % (len(good), good, door.key.encode())
    assert answers(door, head(CHUNKED) + behind + LAST) == [401, 200]


TARGETS = {
    b"http://example.org/healthz": 200,
    b"http://u:p@example.org:80/healthz": 200,
    b"http://example.org": 400,
    b"http://example.org?healthz": 400,
    b"http://example.org:99999/healthz": 400,
    b"http:///healthz": 400,
    b"http://": 400,
    b"http://[::1/healthz": 400,
    b"http://e]/healthz": 400,
    b"/healthz#top": 400,
    b"/healthz\x01": 400,
    b" /healthz": 200,
    b"/healthz ": 200,
    b"/health z": 400,
}


@pytest.mark.parametrize("target", TARGETS)
def test_addresses_are_read_alike(door: Door, target: bytes) -> None:
    assert answers(door, get(target)) == [TARGETS[target]]


HEADS = {
    "line feeds alone": (b"GET /healthz HTTP/1.1\nHost: x\n\n", [400]),
    "a space behind the version": (b"GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n", [400]),
    "a space in front": (b" " + LAST, [400]),
    "a length beyond 64 bits": (head(b"Content-Length: 99999999999999999999\r\n"), [400]),
    "a body too large at an address without one": (get(b"/healthz", b"Content-Length: 50000000\r\n"), [413]),
    "a body too large where nothing is": (get(b"/nowhere", b"Content-Length: 50000000\r\n"), [413]),
    "close as one of several words": (get(b"/healthz", b"Connection: x, CLOSE\r\n"), [200]),
    "an expectation without a body": (get(b"/healthz", b"Expect: 100-continue\r\n") + LAST, [200, 200]),
    "an expectation of HTTP/1.0": (
        head(b"Content-Length: 1\r\nExpect: 100-continue\r\n", line=b"POST /v1/score HTTP/1.0") + b"{",
        [401],
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_read_alike(door: Door, name: str) -> None:
    request, statuses = HEADS[name]
    assert answers(door, request) == statuses


@pytest.mark.parametrize("junk", [b"junk", b"junk\r\n\r\n", b"\x16\x03\x01\r\n"])
def test_what_follows_a_request_does_not_change_its_answer(door: Door, good: bytes, junk: bytes) -> None:
    request = head(b"Content-Length: %d\r\n" % len(good), door.key.encode()) + good
    assert answers(door, request * 2 + junk) == [200, 200, 400]


def test_a_head_that_is_cut_anywhere_is_the_same_head(door: Door) -> None:
    with door.raw() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in LAST:
            connection.sendall(bytes([byte]))
        assert connection.recv(12) == b"HTTP/1.1 200"

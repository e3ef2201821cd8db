"""How long one application waits at the REST door while another key sends batches on several connections.

    python -m benchmarks.rest_beside_batches BUNDLE [SECONDS] [CONNECTIONS] [ROWS]

Requests of key A, one after the other on one connection, are timed alone first, then beside batches of key B
(4 connections of 1,000 applications each by default). Prints p50 and p99 of A in ms, and B's applications a second.
"""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import cast

import numpy as np

from scoring.message.schema import example_application
from scoring.scorer import Scorer
from serving.keys import KeyFile

_PORT = 8437
_HEADERS = {"Content-Type": "application/json"}
_READY_S = 60.0


def _batches(key: str, body: bytes, ended: Event, counts: "multiprocessing.Queue[int]") -> None:
    """Send batches until told to end; rates that are refused with 429 are sent again at once, as a rude client does."""
    connection, answered = HTTPConnection("127.0.0.1", _PORT), 0
    while not ended.is_set():
        connection.request("POST", "/v1/score/batch", body, {**_HEADERS, "X-API-Key": key})
        reply = connection.getresponse()
        reply.read()
        answered += reply.status == 200
    counts.put(answered)


def _times(key: str, body: bytes, seconds: float) -> list[float]:
    """Return the milliseconds of single requests, one after the other."""
    connection, found, end = HTTPConnection("127.0.0.1", _PORT), [], time.perf_counter() + seconds
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while (began := time.perf_counter()) < end:
        connection.request("POST", "/v1/score", body, {**_HEADERS, "X-API-Key": key})
        reply = connection.getresponse()
        reply.read()
        found.append(1000 * (time.perf_counter() - began) if reply.status == 200 else float("inf"))
    return found


def _said(name: str, times: list[float]) -> str:
    p50, p99 = np.percentile(times, [50, 99])
    return f"{name}: {len(times):,} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms\n"


def _wait() -> None:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", _PORT), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the door did not start")


def _measure(keys: tuple[str, str], single: bytes, rows: int, seconds: float, connections: int) -> None:
    own, other = keys
    batch = b"[" + b",".join([single] * rows) + b"]"
    _wait()
    _times(own, single, 1.0)
    sys.stdout.write(_said("alone", _times(own, single, seconds)))
    ended, counts = multiprocessing.Event(), cast("multiprocessing.Queue[int]", multiprocessing.Queue())
    crowd = [multiprocessing.Process(target=_batches, args=(other, batch, ended, counts)) for _ in range(connections)]
    for process in crowd:
        process.start()
    time.sleep(1.0)
    sys.stdout.write(_said(f"beside {connections} connections of {rows} a batch", _times(own, single, seconds)))
    ended.set()
    done = sum(counts.get() for _ in crowd)
    for process in crowd:
        process.join()
    sys.stdout.write(f"batches: {done * rows / (seconds + 1):,.0f} applications a second\n")


def main(bundle: Path, seconds: float = 10.0, connections: int = 4, rows: int = 1000) -> None:
    """Start a door, measure alone and beside batches, end it."""
    single = json.dumps(example_application(Scorer.open(bundle).bundle.spec)).encode()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        own, other = (KeyFile(keys).new(name, "2026-01-01T00:00:00Z") for name in ("single", "batches"))
        serve = ["serve", "--bundle", str(bundle), "--keys", str(keys), "--port", str(_PORT), "--rate-limit", "0"]
        command = [sys.executable, "-m", "cli.main", *serve]
        quiet = {**os.environ, "CREDIT_API_DEADLINE_SECONDS": "60"}
        with subprocess.Popen(command, stdout=-3, stderr=-3, env=quiet) as door:  # noqa: S603 - ours; -3: nowhere
            try:
                _measure((own, other), single, rows, seconds, connections)
            finally:
                door.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    given = dict(zip(("seconds", "connections", "rows"), map(int, sys.argv[2:]), strict=False))
    main(Path(sys.argv[1]), **given)

"""A REST door as a user runs it: `credit serve` in a process of its own, and clients on real sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import psutil

from serving.keys import KeyFile
from tests.conftest import PROJECT
from tests.waiting import PATIENCE_S, wait_until

FRAMEWORKS = ("fastapi", "flask")
JSON_HEADERS = {"Content-Type": "application/json"}
UNHURRIED = {"deadline_seconds": 60, "header_seconds": 60, "body_seconds": 60}  # on a busy machine a moment is long


@dataclass(frozen=True)
class Reply:
    """What came back: names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Door:
    process: "subprocess.Popen[bytes]"
    port: int
    key: str
    log: Path
    keys: Path

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request on a connection of its own, with the key."""
        connection = self.connect()
        try:
            return self.ask_on(connection, method, path, body, **headers)
        finally:
            connection.close()

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def ask_on(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"X-API-Key": self.key, **(JSON_HEADERS if body else {}), **named})
        return reply(connection.getresponse())

    def score(self, body: bytes, path: str = "/v1/score", **headers: str) -> Reply:
        return self.ask("POST", path, body, **{"Content-Type": "application/json", **headers})

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def send_raw(self, request: bytes) -> Reply | None:
        """Send bytes as they are; None if the connection was closed without a response."""
        with self.raw() as connection:
            connection.sendall(request)
            return read_reply(connection)

    def metrics(self) -> dict[str, float]:
        """The values that /metrics shows, by name and labels."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
        return {name: float(value) for name, value in pairs}

    def lines(self) -> list[dict[str, Any]]:
        whole, _, _being_written = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def workers_ready(self, count: int) -> bool:
        """Wait until so many workers have become ready since the start; the door's address is said at the first."""
        return wait_until(lambda: sum(line["event"] == "worker_ready" for line in self.lines()) >= count)

    def processes(self) -> list[psutil.Process]:
        """The workers: those children that were started to serve, or the process itself if there is one worker."""
        own = psutil.Process(self.process.pid)
        workers = [child for child in own.children() if "spawn_main" in " ".join(child.cmdline())]
        return workers or [own]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return self.process.wait(PATIENCE_S)


def reply(response: HTTPResponse) -> Reply:
    body = response.read()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def read_reply(connection: socket.socket, method: str = "POST") -> Reply | None:
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
    except (ConnectionError, TimeoutError, OSError):
        return None
    return reply(response)


def start(
    bundle: Path,
    folder: Path,
    framework: str,
    *arguments: object,
    **settings: object,
) -> Door:
    """Start a door on a free port with a key; settings go through the environment, but for `module`, which is run."""
    module = str(settings.pop("module", "cli.main"))
    folder.mkdir(parents=True, exist_ok=True)
    keys, log = folder / "keys.json", folder / "log.jsonl"
    key = KeyFile(keys).new("test", "2026-01-01T00:00:00+00:00")
    command = [sys.executable, "-m", module, "serve", "--bundle", bundle, "--port", "0", "--keys", keys]
    environment = {f"CREDIT_API_{name.upper()}": str(value) for name, value in (UNHURRIED | settings).items()}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*map(str, command), "--framework", framework, *map(str, arguments)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "error", **environment},
        )
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert line.startswith("http://127.0.0.1:"), (line, log.read_text())
    return Door(process, int(line.split()[0].rpartition(":")[2]), key, log, keys)


@contextmanager
def running(bundle: Path, folder: Path, framework: str, *arguments: object, **settings: object) -> Iterator[Door]:
    door = start(bundle, folder, framework, *arguments, **settings)
    try:
        yield door
    finally:
        door.stop()

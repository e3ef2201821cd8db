"""A real PostgreSQL server of a test run, in a folder of its own, on a Unix socket and a free port of the loopback."""

import os
import pwd
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

_USER = "nobody"  # the server refuses to run as root


def find_tools() -> Path:
    """The folder of initdb and pg_ctl; a test is skipped without, but never in the gate."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and "CREDIT_GATE" not in os.environ:
        pytest.skip("PostgreSQL is not on this machine; apt-get install postgresql")
    return found[-1].parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class PostgresServer:
    tools: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="credit-pg-")))
    port: int = field(default_factory=free_port)
    databases: int = 0

    def make(self) -> "PostgresServer":
        if os.getuid() == 0:
            os.chown(self.folder, pwd.getpwnam(_USER).pw_uid, -1)
        self._run("initdb", "--auth=trust", "--username=credit", "--encoding=UTF8", "--locale=C", "--no-sync")
        return self.start()

    def start(self) -> "PostgresServer":
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=30"
        self._run("pg_ctl", "--wait", "--log", self.folder / "log", "--options", options, "start")
        return self

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--mode", "immediate", "stop")

    def database(self) -> str:
        """The address of a new, empty database."""
        self.databases += 1
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"create database d{self.databases}")
        return self.address(f"d{self.databases}")

    def address(self, name: str) -> str:
        return f"postgresql://credit@127.0.0.1:{self.port}/{name}"

    def _run(self, tool: str, *arguments: object) -> None:
        command = [str(self.tools / tool), "-D", str(self.folder / "data"), *map(str, arguments)]
        user = _USER if os.getuid() == 0 else None
        done = subprocess.run(command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 0, done.stderr

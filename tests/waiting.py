"""Waiting in tests: for a condition, never for a time. A bound in seconds only ends what would hang for ever."""

import contextlib
import secrets
import socket
import time
from typing import Any

PATIENCE_S = 300.0  # far more than a machine needs that does ten other things


def wait_until(condition: Any, seconds: float = PATIENCE_S, pause_s: float = 0.02) -> bool:
    """Ask again and again until it is true; false if it never became so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause_s)
    return False


def free_port() -> int:
    """A port of loopback that nobody else is given while this process lives.

    It is below those that the system gives to connections, one of which may else take it while a server is away.
    It stays bound, without being listened on: the system then gives it to no other process and to no connection, and
    a server that sets SO_REUSEADDR, as all that are tested here do, can listen on it, also again after it was killed.
    """
    for _ in range(1_000):
        held, port = socket.socket(), 15_000 + secrets.randbelow(17_000)
        with contextlib.suppress(OSError):  # taken: the next
            held.bind(("127.0.0.1", port))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.detach()  # left open until the process ends
            return port
        held.close()
    raise RuntimeError("no port of loopback is free")

"""`credit` as a process that delivers to an object store, killed before or just after one of its puts."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from tests.conftest import PROJECT
from tests.s3_server import S3

PATIENCE_S = 120
Meanwhile = Callable[[str, str], object]


def deliver(
    s3: S3, words: Sequence[str], kill_at: int = 0, *, after: bool = False, meanwhile: Meanwhile = lambda *_: None
) -> tuple[int, str]:
    """Run the command; return its exit code and what it said. `kill_at`: the put at which it is killed, 0 for none.

    `after`: the put is still done. `meanwhile` is called with method and key before each request is answered.
    """
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cli.main", *words]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, cwd=PROJECT, **streams)  # type: ignore[call-overload]
    seen, done = 0, threading.Event()

    def step(method: str, key: str, _number: int) -> str | None:
        nonlocal seen
        meanwhile(method, key)
        if method in {"PUT", "POST"}:
            seen += 1
            if seen == kill_at:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return None if after else "SlowDown"
        return None

    s3.fault, s3.after = step, lambda *_: done.set() if seen == kill_at else None
    said = process.communicate(timeout=PATIENCE_S)[1]
    assert not kill_at or (process.returncode == -signal.SIGKILL and done.wait(PATIENCE_S)), said
    s3.fault, s3.after = lambda *_: None, lambda *_: None
    return process.returncode, said

"""Commands that serve, as processes of their own, ended with the block that uses them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from features.errors import DeliveryError


@dataclass(slots=True)
class Running:
    """A command that runs; `name` stands in messages."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: IO[bytes]

    def first_line(self) -> str:
        """Wait for the first line that it prints.

        Raises:
            DeliveryError: it ended before, with what it said last.

        """
        line = self.process.stdout.readline().decode() if self.process.stdout else ""
        if not line:
            self.process.wait()
            self.check()
        return line

    def check(self) -> None:
        """Check that it still runs.

        Raises:
            DeliveryError: it ended, with what it said last.

        """
        if self.process.poll() is not None:
            self.log.seek(0)
            lines = self.log.read().decode(errors="replace").strip().splitlines()
            said = lines[-1] if lines else f"exit code {self.process.returncode}"
            raise DeliveryError(f"{self.name}: the door ended: {said}")


@contextmanager
def running(command: Sequence[object], name: str, environment: dict[str, str]) -> Iterator[Running]:
    """Start a command with more environment; it gets SIGTERM at the end."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **environment})
        with started:
            try:
                yield Running(name, started, log)
            finally:
                started.terminate()

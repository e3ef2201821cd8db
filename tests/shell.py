"""A line as a user types it, with `credit` on the PATH; and `credit` called here, where a process is not the point."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from cli.main import main


def shell(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def call(arguments: Sequence[object], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `credit` as its entry point does, in this process: the same parser, streams, umask and exit codes.

    It saves the 2 seconds that loading the libraries takes. What it cannot show: another hash seed, a fresh import,
    signals, what children write to standard error. Tests of those take `credit_process`.
    """
    words = ["credit", *map(str, arguments)]
    with _streams() as (said, warned), _surroundings(folder), mock.patch.object(sys, "argv", words):
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
        texts = said.getvalue().decode(), warned.getvalue().decode()
    return subprocess.CompletedProcess(words, code if isinstance(code, int) else int(code is not None), *texts)


@contextlib.contextmanager
def _streams() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    said, warned = io.BytesIO(), io.BytesIO()
    before = sys.stdin, sys.stdout, sys.stderr
    with Path(os.devnull).open() as nothing:
        sys.stdin, sys.stdout, sys.stderr = nothing, io.TextIOWrapper(said, "utf-8"), io.TextIOWrapper(warned, "utf-8")
        try:
            yield said, warned
        finally:
            sys.stdin, sys.stdout, sys.stderr = before


@contextlib.contextmanager
def _surroundings(folder: Path) -> Iterator[None]:
    """What a process has of its own and leaves with it: folder, umask, environment, signals."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    rights = os.umask(0o022)
    os.umask(rights)
    try:
        with contextlib.chdir(folder), mock.patch.dict(os.environ):
            yield
    finally:
        os.umask(rights)
        for number, handler in handlers.items():
            signal.signal(number, handler)

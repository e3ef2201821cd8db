"""Parquet files as blocks of rows, decoded once, by a process that may die of a damaged file.

To start that process takes half a second, more than to decode a small table. So one that has answered everything that
it was asked, and has not seen much, waits for the next table.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import BinaryIO, cast

import polars as pl

from features.errors import InputError
from storage import parquet_decoder
from storage.frames import Slots, receive, unpacked
from storage.opened import Opened, changed

Span = tuple[int, int]  # of the rows of a file: before the first one of it, and how many
_SMALL_BYTES = 1 << 25  # of files: after more, a process has memory that is better given back


@dataclass(frozen=True, slots=True)
class ParquetHead:
    """What a Parquet file says about itself: number of rows, columns with their types, and a frame without rows."""

    rows: int
    columns: dict[str, str]
    empty: pl.DataFrame


@dataclass(slots=True)
class ParquetDecoder:
    """The process that decodes."""

    _process: "subprocess.Popen[bytes]"
    _slots: Slots
    _answered: bool = True
    _asked_bytes: int = 0

    @classmethod
    def start(cls) -> "ParquetDecoder":
        """Start the process."""
        slots = Slots()
        return cls(_started(slots.descriptors), slots)

    @property
    def may_wait(self) -> bool:
        """Whether it may wait for another table: it lives, nothing is half read, and it takes little memory."""
        return self._answered and self._asked_bytes < _SMALL_BYTES and self._process.poll() is None

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        with suppress(OSError):  # what is left in the buffer has nowhere to go
            self._requests.close()
        self._answers.close()
        self._process.wait()
        self._slots.close()

    @property
    def _requests(self) -> BinaryIO:
        return cast("BinaryIO", self._process.stdin)

    @property
    def _answers(self) -> BinaryIO:
        return cast("BinaryIO", self._process.stdout)

    def head(self, file: Opened, columns: Collection[str] | None = None) -> ParquetHead:
        """Read the file's footer.

        Raises:
            InputError: the file is no Parquet, damaged, or was replaced.

        """
        return self._ask(file, columns, rows=0)

    def blocks(
        self, file: Opened, columns: Collection[str] | None, rows: int, span: Span | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield an empty frame with the schema, then the rows in order, `rows` at a time; only these columns.

        `span`: the first row, and how many.

        Raises:
            InputError: the file is no Parquet, damaged, or was replaced.

        """
        yield self.head(file, columns).empty  # nothing is decoded before the first rows are wanted
        self._ask(file, columns, rows=rows, span=span)
        for number in count():
            if not self._receive(file):
                self._answered = True
                return
            block = self._slots.read(number)
            self._send(b"\n", file)  # its slot may be filled again
            yield block

    def _ask(
        self, file: Opened, columns: Collection[str] | None, *, rows: int, span: Span | None = None
    ) -> ParquetHead:
        if file.before.st_size == 0:
            raise InputError(f"{file.path}: the file is empty. Expected Parquet.")
        wanted = None if columns is None else sorted(columns)
        request = {"path": str(file.path.absolute()), "columns": wanted, "rows": rows, "span": span}
        self._answered = False
        self._asked_bytes += file.before.st_size
        self._send(json.dumps(request).encode() + b"\n", file)
        found = json.loads(self._receive(file))
        if found["identity"] != file.identity:
            raise changed(file.path)
        head = ParquetHead(found["rows"], found["columns"], unpacked(self._receive(file)))
        self._answered = not rows
        return head

    def _send(self, line: bytes, file: Opened) -> None:
        try:
            self._requests.write(line)
            self._requests.flush()
        except OSError as error:
            raise _damaged(file) from error

    def _receive(self, file: Opened) -> bytes:
        message = receive(self._answers)
        if message is None:
            raise _damaged(file)
        return message


def _damaged(file: Opened) -> InputError:
    return InputError(f"{file.path}: not readable as Parquet, or damaged. Copy or export it again.")


@contextmanager
def parquet_decoder_process() -> Iterator[ParquetDecoder]:
    """Take the process that waits, or start one; afterwards it waits, or is ended."""
    decoder = _taken() or ParquetDecoder.start()
    try:
        yield decoder
    finally:
        if decoder.may_wait and not _waiting:
            _waiting.append(decoder)
        else:
            decoder.end()


_waiting: list[ParquetDecoder] = []


def _taken() -> ParquetDecoder | None:
    while True:
        try:
            decoder = _waiting.pop()  # at once, so that two threads never take the same
        except IndexError:
            return None
        if decoder.may_wait:
            return decoder
        decoder.end()


def _end_waiting() -> None:
    while decoder := _taken():
        decoder.end()


atexit.register(_end_waiting)
os.register_at_fork(before=_end_waiting)  # a child would ask the same process


def _started(slots: list[int]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", parquet_decoder.__name__, *map(str, slots)]
    return subprocess.Popen(  # noqa: S603 - our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=slots
    )

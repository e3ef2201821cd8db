"""Parquet files as blocks of rows, decoded once, by a process that may die of a damaged file."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import BinaryIO, cast

import polars as pl

from features.errors import InputError
from storage import parquet_decoder
from storage.frames import Slots, receive, unpacked
from storage.opened import Opened, changed

Span = tuple[int, int]  # of the rows of a file: before the first one of it, and how many


@dataclass(frozen=True, slots=True)
class ParquetHead:
    """What a Parquet file says about itself: number of rows, columns with their types, and a frame without rows."""

    rows: int
    columns: dict[str, str]
    empty: pl.DataFrame


@dataclass(frozen=True, slots=True)
class ParquetDecoder:
    """The process that decodes."""

    _requests: BinaryIO
    _answers: BinaryIO
    _slots: Slots

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
        request = {"path": str(file.path), "columns": wanted, "rows": rows, "span": span}
        self._send(json.dumps(request).encode() + b"\n", file)
        found = json.loads(self._receive(file))
        if found["identity"] != file.identity:
            raise changed(file.path)
        return ParquetHead(found["rows"], found["columns"], unpacked(self._receive(file)))

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
    """Start the process, and end it with the block."""
    with closing(Slots()) as slots, _started(slots.descriptors) as process:
        try:
            yield ParquetDecoder(cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout), slots)
        finally:
            process.kill()
            with suppress(OSError):  # what is left in the buffer has nowhere to go
                cast("BinaryIO", process.stdin).close()


def _started(slots: list[int]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", parquet_decoder.__name__, *map(str, slots)]
    return subprocess.Popen(  # noqa: S603 - our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=slots
    )

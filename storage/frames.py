"""Frames as bytes, in the one form in which they cross to another process or lie in a temporary file: Arrow IPC.

Small ones cross a pipe behind their length. Large ones lie in `Slots`, which both processes have open: a pipe copies
them through the kernel piece by piece, which costs more than to decode them.
"""

import io
import os
import struct
import tempfile
from collections.abc import Sequence
from typing import BinaryIO, Literal

import polars as pl

__all__ = ["packed", "unpacked"]

_LENGTH = struct.Struct("<Q")

Compression = Literal["uncompressed", "lz4"]


def packed(frame: pl.DataFrame, compression: Compression) -> bytes:
    """Turn a frame into bytes."""
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression=compression)
    return buffer.getvalue()


def unpacked(content: bytes) -> pl.DataFrame:
    """Turn the bytes of `packed` back into the frame."""
    return pl.read_ipc_stream(io.BytesIO(content))


def send(pipe: BinaryIO, message: bytes) -> None:
    """Write one message to a pipe."""
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes | None:
    """Read one message from a pipe; None where the other end is gone."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None


class Slots:
    """Files in memory that two processes have open and use in turn, so that one fills a slot while the other reads.

    Who fills a slot again must know that it was read. What another system lacks, files in memory, lies on its disk.
    """

    count = 2

    def __init__(self, descriptors: Sequence[int] | None = None) -> None:
        """Make them; or open those that another process handed down."""
        descriptors = [_file_in_memory() for _ in range(self.count)] if descriptors is None else descriptors
        self._files = [os.fdopen(descriptor, "r+b", buffering=0) for descriptor in descriptors]

    @property
    def descriptors(self) -> list[int]:
        """What to hand down."""
        return [file.fileno() for file in self._files]

    def fill(self, number: int, frame: pl.DataFrame) -> None:
        """Put the frame of this number, counted from 0, into its slot."""
        file = self._files[number % self.count]
        file.seek(0)  # over what was there: memory that is there already costs nothing
        frame.write_ipc_stream(file, compression="uncompressed")

    def read(self, number: int) -> pl.DataFrame:
        """Return a copy of the frame of this number."""
        file = self._files[number % self.count]
        file.seek(0)
        return pl.read_ipc_stream(file)

    def close(self) -> None:
        """Let go of them; the memory is free when both processes did."""
        for file in self._files:
            file.close()


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())

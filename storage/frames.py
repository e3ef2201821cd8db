"""Frames as bytes, in the one form in which they cross a pipe or lie in a temporary file: length, then Arrow IPC."""

import io
import struct
from typing import BinaryIO, Literal

import polars as pl

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

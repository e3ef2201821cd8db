"""Frames as the bytes of a file: CSV or Parquet."""

import io
from collections.abc import Iterator
from typing import IO

import polars as pl
from polars.io.plugins import register_io_source

from features.cells.instants import INSTANT_FORMAT

__all__ = ["encode", "write_frames"]

ROW_GROUP_ROWS = 1 << 16


def encode(frame: pl.DataFrame, suffix: str) -> bytes:
    """Write a frame as CSV or Parquet bytes."""
    buffer = io.BytesIO()
    write_frames(buffer, iter([frame]), frame.schema, suffix)
    return buffer.getvalue()


def write_frames(file: IO[bytes], frames: Iterator[pl.DataFrame], schema: pl.Schema, suffix: str) -> None:
    """Write frames as one CSV or Parquet file: floats in their shortest exact form, instants as RFC 3339 in UTC.

    Parquet has row groups of `ROW_GROUP_ROWS`; the bytes do not depend on how the rows are cut into frames.
    """
    if suffix.lower() == ".csv":
        file.write(pl.DataFrame(schema=schema).write_csv().encode())
        for frame in frames:
            file.write(frame.write_csv(include_header=False, datetime_format=INSTANT_FORMAT).encode())
        return
    source = register_io_source(lambda *_: frames, schema=schema)
    source.sink_parquet(file, row_group_size=ROW_GROUP_ROWS, maintain_order=True)

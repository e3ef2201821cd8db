"""Decode Parquet files in a process of its own and send their rows to the process that asked.

Damaged Parquet can make the reader abort the whole process instead of raising. Here only this process dies of it, and
the run that started it can refuse the file by name. A request on standard input is one line of JSON; the answer on
standard output is one JSON message (rows, columns with types, identity of the file) and a frame without rows; then,
if rows were asked for, blocks of them and an empty message.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from storage.frames import packed, send
from storage.opened import identity


def answer(request: dict[str, Any]) -> Iterator[bytes]:
    """Yield the messages that answer a request: `path`, `columns` (null for all), `rows` in a block (0: none)."""
    with Path(request["path"]).open("rb") as file:
        table = pl.scan_parquet(f"/dev/fd/{file.fileno()}", hive_partitioning=False, glob=False)
        coded = [name for name, dtype in table.collect_schema().items() if isinstance(dtype, (pl.Categorical, pl.Enum))]
        table = table.with_columns(
            pl.col(coded).cast(pl.String)
        )  # each file, and each block, has a dictionary of its own
        schema = table.collect_schema()
        head = {
            "identity": identity(os.fstat(file.fileno())),
            "rows": table.select(pl.len()).collect().item(),
            "columns": {name: str(dtype) for name, dtype in schema.items()},
        }
        wanted = [name for name in schema if request["columns"] is None or name in request["columns"]]
        table = table.select(wanted)
        yield json.dumps(head).encode()
        yield packed(table.clear().collect(), "uncompressed")
        if not request["rows"]:
            return
        for block in table.collect_batches(chunk_size=request["rows"], maintain_order=True, lazy=True):
            yield packed(block, "uncompressed")
        yield b""


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        for message in answer(json.loads(line)):
            send(sys.stdout.buffer, message)

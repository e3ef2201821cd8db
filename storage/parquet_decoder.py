"""Decode Parquet files in a process of its own and send their rows to the process that asked.

Damaged Parquet can make the reader abort the whole process instead of raising. Here only this process dies of it, and
the run that started it can refuse the file by name. A request on standard input is one line of JSON; the answer on
standard output is one JSON message (rows, columns with types, identity of the file) and a frame without rows; then,
if rows were asked for, a message for each block of them, which lies in the next of the `Slots` that the arguments name,
and an empty message. An empty line on standard input says that a block was read, so that its slot may be filled again.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from storage.frames import Slots, packed, send
from storage.opened import identity


def answer(request: dict[str, Any], slots: Slots, wait: Callable[[], object]) -> Iterator[bytes]:
    """Yield the messages that answer a request: `path`, `columns` (null for all), `rows` in a block (0: none), `span`.

    `span`: how many rows to skip and how many to read (null: all). `wait` returns when one more block was read.
    """
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
        table = table if request["span"] is None else table.slice(*request["span"])
        blocks = table.collect_batches(chunk_size=request["rows"], maintain_order=True, lazy=True)
        for number, block in enumerate(blocks):
            if number >= slots.count:
                wait()
            slots.fill(number, block)
            yield str(block.height).encode()
        yield b""


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    shared = Slots([*map(int, sys.argv[1:])])
    while line := sys.stdin.readline():
        if line.strip():  # else it is of a block that was read when none was waited for any more
            for message in answer(json.loads(line), shared, sys.stdin.readline):
                send(sys.stdout.buffer, message)

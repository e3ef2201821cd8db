"""The files of a segment, written and flushed."""

import io
from pathlib import Path

import polars as pl

from receipts.log.index import make_index
from receipts.log.manifest import Manifest
from receipts.log.read import GROUP_ROWS
from scoring.bundle import sha256
from storage.durable import flush, write_through


def write_files(folder: Path, manifest: Manifest, rows: pl.DataFrame) -> dict[str, str]:
    """Write and flush the receipts and their index under the names of the manifest's revision; return their hashes."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS)
    contents = {"receipts": buffer.getvalue(), "index": make_index(rows)}
    return write_contents(folder, manifest, contents)


def write_contents(folder: Path, manifest: Manifest, contents: dict[str, bytes]) -> dict[str, str]:
    """Write and flush files under the names of the manifest's revision; return their hashes."""
    for kind, content in contents.items():
        write_through(folder / manifest.name(kind), content)
    flush(folder)
    return {kind: sha256(content) for kind, content in contents.items()}

"""Read a table: one CSV or Parquet file, or a folder of part files in order of file name."""

import io
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from batch import parquet_probe
from batch.csv_structure import BOM, check_csv
from features.errors import InputError
from scoring.bundle import sha256

_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read: its path, SHA-256 and number of rows."""

    path: Path
    sha256: str
    rows: int

    @property
    def label(self) -> str:
        """The path as text; bytes that are no UTF-8 are escaped, so that it can be written anywhere."""
        return str(self.path).encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class SourceTable:
    """All rows of a table with the files they came from. CSV columns are text, Parquet columns as typed."""

    frame: pl.DataFrame
    files: tuple[SourceFile, ...]
    notes: tuple[str, ...]

    def locate(self, rows: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Turn 1-based rows of the table into file names and 1-based rows of the file; null stays null."""
        ends = np.cumsum([file.rows for file in self.files])
        index = pl.Series(np.searchsorted(ends, rows.fill_null(1).to_numpy()))
        names = pl.Series([Path(file.label).name for file in self.files], dtype=pl.String)
        starts = pl.Series([0, *ends[:-1].tolist()], dtype=pl.Int64)
        known = rows.is_not_null()
        located = pl.DataFrame({"known": known, "file": names.gather(index), "row": rows - starts.gather(index)})
        located = located.select(pl.when("known").then("file").alias("file"), pl.when("known").then("row").alias("row"))
        return located["file"], located["row"]


def read_table(
    path: Path, name: str, *, known: Collection[str] | None = None, may_be_empty: bool = False
) -> SourceTable:
    """Read a table strictly. `name` ("applications") stands in messages; columns beside `known` are left out and noted.

    Raises:
        InputError: the file is absent, empty, cut, damaged, has doubled columns, or no rows; says where and what to do.

    """
    parts = [_read_file(file) for file in _files(path, name)]
    frames = [frame for frame, _, _ in parts]
    _check_same_columns(frames, [file for _, file, _ in parts])
    notes = [note for _, _, more in parts for note in more]
    extra = [column for column in frames[0].columns if known is not None and column not in known]
    if extra:
        notes.append(f"{name}: not in the spec and ignored: {', '.join(extra)}")
    frame = pl.concat([f.drop(extra) for f in frames])
    if not may_be_empty and not any(file.rows for _, file, _ in parts):
        raise InputError(f"{path}: the {name} have a header but no rows. Expected at least one; check the export.")
    return SourceTable(frame, tuple(file for _, file, _ in parts), tuple(notes))


def _files(path: Path, name: str) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Expected the {name} as CSV or Parquet.")
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if not p.name.startswith((".", "_")))
    if not found:
        raise InputError(f"{path}: the folder is empty. Expected part files of the {name}, CSV or Parquet.")
    suffixes = sorted({p.suffix.lower() for p in found})
    if len(suffixes) > 1 or any(p.is_dir() for p in found):
        raise InputError(
            f"{path}: expected part files of one kind, .csv or .parquet, found {', '.join(suffixes)}. "
            "Move other files elsewhere (names that begin with . or _ are skipped)."
        )
    return found


def _read_file(path: Path) -> tuple[pl.DataFrame, SourceFile, list[str]]:
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: its name ends in {path.suffix or 'nothing'}, expected .csv or .parquet.")
    try:
        content = _read_once(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error
    frame, notes = _read_csv(content, path) if path.suffix.lower() == ".csv" else (_read_parquet(content, path), [])
    return frame, SourceFile(path, sha256(content), frame.height), notes


def _read_once(path: Path) -> bytes:
    """Read a file once: what is checked and hashed is what is parsed. Refuse a file that changes meanwhile."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != after.st_size:
        raise InputError(f"{path}: changed while it was read. Start the run when the file is complete.")
    return content


def _read_csv(content: bytes, path: Path) -> tuple[pl.DataFrame, list[str]]:
    structure = check_csv(content, str(path))
    notes = [f"{path.name}: byte order mark skipped"] if content.startswith(BOM) else []
    try:
        frame = pl.read_csv(
            content.removeprefix(BOM),
            infer_schema=False,
            has_header=True,
            separator=",",
            quote_char='"',
            encoding="utf8",
        )
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: not readable as CSV ({type(error).__name__}). Export the file again.") from error
    if frame.height != structure.records or tuple(frame.columns) != structure.columns:
        raise InputError(
            f"{path}: {structure.records} records of {len(structure.columns)} fields expected, the reader found "
            f"{frame.height} of {frame.width}. Export the file again as plain RFC 4180 CSV."
        )
    return frame, notes


def _read_parquet(content: bytes, path: Path) -> pl.DataFrame:
    if not content:
        raise InputError(f"{path}: the file is empty. Expected Parquet.")
    probe = [sys.executable, "-P", "-m", parquet_probe.__name__]
    if subprocess.run(probe, input=content, capture_output=True, check=False).returncode != 0:  # noqa: S603 - our own
        raise InputError(f"{path}: not readable as Parquet, or damaged. Copy or export it again.")
    return pl.read_parquet(io.BytesIO(content))


def _check_same_columns(frames: list[pl.DataFrame], files: list[SourceFile]) -> None:
    for frame, file in zip(frames[1:], files[1:], strict=True):
        if frame.schema != frames[0].schema:
            raise InputError(
                f"{file.path}: columns or types differ from {files[0].path.name}. Expected parts of one table, "
                "with the same columns in the same order."
            )

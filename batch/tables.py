"""Read a table: one CSV or Parquet file, or a folder of part files in order of file name, block by block."""

import hashlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl

from batch.csv_structure import CsvStructure
from batch.opened import Opened, opened
from batch.parquet_blocks import ParquetDecoder, ParquetHead, parquet_decoder_process
from features.errors import InputError

_SUFFIXES = (".csv", ".parquet")
_CHUNK_BYTES = 1 << 24
_PARQUET_CELL_BYTES = 16  # in memory


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


@dataclass(slots=True)
class SourceTable:
    """A table that is read strictly, once, block by block. CSV columns are text, Parquet columns as typed.

    `name` ("applications") stands in messages; columns beside `known` are left out and noted. `files` and `notes` are
    complete when all blocks are taken.
    """

    path: Path
    name: str
    known: Collection[str] | None = None
    may_be_empty: bool = False
    chunk_bytes: int = _CHUNK_BYTES
    files: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _parts: list[Path] = field(default_factory=list)
    _columns: dict[str, str] = field(default_factory=dict)
    _resources: ExitStack = field(default_factory=ExitStack)
    _decoder: ParquetDecoder | None = None

    def __enter__(self) -> Self:
        """Find the files and be ready to read them.

        Raises:
            InputError: there is no such file, or a folder of something else.

        """
        self._parts = _files(self.path, self.name)
        if self._parts[0].suffix.lower() == ".parquet":
            self._decoder = self._resources.enter_context(parquet_decoder_process())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of what reading needed."""
        self._resources.close()

    @property
    def rows(self) -> int:
        """Number of rows read so far."""
        return sum(file.rows for file in self.files)

    def estimated_bytes(self) -> int:
        """Estimate how large the table is in memory, from what its files say about themselves.

        Raises:
            InputError: a file cannot be read.

        """
        return sum(self._estimated_bytes(path) for path in self._parts)

    def _estimated_bytes(self, path: Path) -> int:
        with opened(path) as file:
            if self._decoder is None:
                return file.before.st_size
            head = self._decoder.head(file, self.known)
            return max(file.before.st_size, head.rows * self._row_bytes(head))

    def _row_bytes(self, head: ParquetHead) -> int:
        taken = [name for name in head.columns if self.known is None or name in self.known]
        return max(1, len(taken)) * _PARQUET_CELL_BYTES

    def blocks(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, first an empty frame with the columns.

        Raises:
            InputError: a file is empty, cut, damaged, changed, has doubled columns or other columns than the first, or
                there are no rows; says where and what to do.

        """
        for number, path in enumerate(self._parts):
            with opened(path) as file:
                try:
                    for block in self._csv_blocks(file) if self._decoder is None else self._parquet_blocks(file):
                        if number == 0 or block.height:
                            yield block
                except InputError:
                    file.check_unchanged()  # what is wrong with a file that changes is that it changes
                    raise
        self._resources.close()  # what decoded is not needed while the rows are worked on
        extra = [name for name in self._columns if self.known is not None and name not in self.known]
        if extra:
            self.notes.append(f"{self.name}: not in the spec and ignored: {', '.join(extra)}")
        if not self.may_be_empty and not self.rows:
            truly = " If there truly are none, pass --allow-empty-events." if self.name == "events" else ""
            raise InputError(
                f"{self.path}: the {self.name} have a header but no rows. "
                f"Expected at least one; check the export.{truly}"
            )

    def read(self) -> pl.DataFrame:
        """Open the table and read it whole; see `blocks`."""
        with self:
            return pl.concat(list(self.blocks()))

    def _parquet_blocks(self, file: Opened) -> Iterator[pl.DataFrame]:
        decoder = self._decoder
        if decoder is None:
            return
        rows, head = 0, decoder.head(file, self.known)
        self._check_columns(file.path, head.columns)
        for block in decoder.blocks(file, self.known, -(-self.chunk_bytes // self._row_bytes(head))):
            rows += block.height
            yield block
        self.files.append(SourceFile(file.path, file.digest(), rows))

    def _csv_blocks(self, file: Opened) -> Iterator[pl.DataFrame]:
        structure, digest, rows = CsvStructure(str(file.path)), hashlib.sha256(), 0

        def chunks() -> Iterator[bytes]:
            while chunk := file.file.read(self.chunk_bytes):
                digest.update(chunk)
                yield chunk
            file.check_unchanged()

        for content, records in structure.blocks(chunks()):
            if not records:
                self._check_columns(file.path, dict.fromkeys(structure.columns, "String"))
            rows += records
            yield self._parse(content, records, structure.columns, file.path)
        if structure.has_byte_order_mark:
            self.notes.append(f"{file.path.name}: byte order mark skipped")
        self.files.append(SourceFile(file.path, digest.hexdigest(), rows))

    def _parse(self, content: bytes, records: int, columns: tuple[str, ...], path: Path) -> pl.DataFrame:
        wanted = [name for name in columns if self.known is None or name in self.known]
        if not records:
            return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
        try:
            frame = pl.read_csv(
                content,
                schema=dict.fromkeys(columns, pl.String),
                has_header=False,
                separator=",",
                quote_char='"',
                encoding="utf8",
            )
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{path}: not readable as CSV ({type(error).__name__}). Export the file again.") from error
        if frame.height != records:
            raise InputError(
                f"{path}: {records} records expected, the reader found {frame.height}. "
                "Export the file again as plain RFC 4180 CSV."
            )
        return frame.select(wanted)

    def _check_columns(self, path: Path, columns: dict[str, str]) -> None:
        if not self._columns:
            self._columns = columns
        if list(columns.items()) != list(self._columns.items()):
            raise InputError(
                f"{path}: columns or types differ from {self._parts[0].name}. Expected parts of one table, "
                "with the same columns in the same order."
            )

    def locate(self, rows: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Turn 1-based rows of the table into file names and 1-based rows of the file; null stays null."""
        index, row = self._places(rows)
        names = pl.Series([Path(file.label).name for file in self.files], dtype=pl.String)
        located = pl.DataFrame({"known": rows.is_not_null(), "file": names.gather(index), "row": row})
        located = located.select(pl.when("known").then("file").alias("file"), pl.when("known").then("row").alias("row"))
        return located["file"], located["row"]

    def source(self, rows: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Turn 1-based rows of the table into the SHA-256 of their files and 1-based rows of the file."""
        index, row = self._places(rows)
        return pl.Series([file.sha256 for file in self.files], dtype=pl.String).gather(index), row

    def _places(self, rows: pl.Series) -> tuple[pl.Series, pl.Series]:
        ends = np.cumsum([file.rows for file in self.files])
        index = pl.Series(np.minimum(np.searchsorted(ends, rows.fill_null(1).to_numpy()), len(ends) - 1))
        return index, rows - pl.Series([0, *ends[:-1].tolist()], dtype=pl.Int64).gather(index)


def read_table(
    path: Path, name: str, *, known: Collection[str] | None = None, may_be_empty: bool = False
) -> pl.DataFrame:
    """Read a whole table strictly into memory; see `SourceTable`.

    Raises:
        InputError: it cannot be used; says where and what to do.

    """
    return SourceTable(path, name, known, may_be_empty).read()


def _files(path: Path, name: str) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Expected the {name} as CSV or Parquet.")
    found = [path]
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if not p.name.startswith((".", "_")))
        if not found:
            raise InputError(f"{path}: the folder is empty. Expected part files of the {name}, CSV or Parquet.")
        suffixes = sorted({p.suffix.lower() for p in found})
        if len(suffixes) > 1 or any(p.is_dir() for p in found):
            raise InputError(
                f"{path}: expected part files of one kind, .csv or .parquet, found {', '.join(suffixes)}. "
                "Move other files elsewhere (names that begin with . or _ are skipped)."
            )
    if found[0].suffix.lower() not in _SUFFIXES:
        raise InputError(f"{found[0]}: its name ends in {found[0].suffix or 'nothing'}, expected .csv or .parquet.")
    return found

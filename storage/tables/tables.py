"""Read a table: one CSV or Parquet file, or a folder of part files in order of their paths, block by block."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl

from features.dialect import Dialect
from features.errors import InputError
from storage.opened import Opened, opened
from storage.remote.fetching import Brought, brought, listed
from storage.tables.csv_blocks import CsvFile
from storage.tables.csv_cuts import CsvChunk, CsvSpan
from storage.tables.id_forms import IdForms
from storage.tables.parquet_blocks import ParquetDecoder, ParquetHead, Span, parquet_decoder_process
from storage.tables.table_files import Part, find_parts, missing_numbers

Tell = Callable[[str], None]
AnySpan = Span | CsvSpan  # of rows of a Parquet file, or of bytes of a CSV file
_CHUNK_BYTES = 1 << 24
_PARQUET_CELL_BYTES = 16  # in memory


def ignore(_note: str) -> None:
    """Take a note that is said elsewhere."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read: its path or URL, SHA-256 and number of rows; `name` is its path below the table's folder.

    In `label` and `name` bytes that are no UTF-8 are escaped, so that they can be written anywhere.
    """

    label: str
    sha256: str
    rows: int
    name: str


@dataclass(slots=True)
class SourceTable:
    """A table that is read strictly, once, block by block. CSV columns are text, Parquet columns as typed.

    `name` ("applications") stands in messages; columns beside `known` are left out and noted. `files` and `notes` are
    complete when all blocks are taken. What the names of folders say (month=2026-01) is a column of text where the
    files have none of that name. Several processes can read one table, a file each: they are given the `parts`, the
    `columns` and the `origin` that the first one found, and it adds up what they `told`. With `piecemeal` an object of
    a store is brought where it is read, into a folder within `around`.
    """

    path: Path
    name: str
    known: Collection[str] | None = None
    may_be_empty: bool = False
    chunk_bytes: int = _CHUNK_BYTES
    dialect: Dialect = Dialect()  # noqa: RUF009 - frozen
    files: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    origin: Brought | None = None
    piecemeal: bool = False
    around: Path | None = None
    _ids: IdForms = field(init=False)
    _resources: ExitStack = field(default_factory=ExitStack)
    _decoder: ParquetDecoder | None = None
    _brought: Brought = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing read."""
        self._brought = self.origin or Brought(self.path, str(self.path))
        self._ids = IdForms(self.name)

    def __enter__(self) -> Self:
        """Find the files, bring them where they lie in an object store, and be ready to read them.

        Raises:
            InputError: there is no such file, or a folder of something else.
            SettingsError: the address is not supported.
            DeliveryError: the store does not answer, or there is no room for what it holds.

        """
        if not self.parts:
            find = listed if self.piecemeal else brought
            self._brought = self._resources.enter_context(find(self.path, f"{self.name} as CSV or Parquet"))
        try:
            with self._brought.said():
                self.parts = self.parts or find_parts(self._brought.path, self.name)
            if self.parts[0].is_parquet:
                self._decoder = self._resources.enter_context(parquet_decoder_process())
        except BaseException:
            self._resources.close()
            raise
        return self

    @property
    def shown(self) -> str:
        """The path or URL, for messages."""
        return self._brought.shown

    @property
    def brought(self) -> Brought:
        """Where the files come from."""
        return self._brought

    @property
    def version(self) -> int | None:
        """The version of a Delta table that was read."""
        return self._brought.version

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
        with self._brought.said():
            return sum(self._estimated_bytes(part.path) for part in self.parts)

    def _estimated_bytes(self, path: Path) -> int:
        with opened(path) as file:
            if self._decoder is None:
                return CsvFile(file, self.dialect, self.chunk_bytes).size()
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
        for number in range(len(self.parts)):
            for block in self.blocks_of(number):
                if number == 0 or block.height:
                    yield block
        self._resources.close()  # what decoded is not needed while the rows are worked on
        self.conclude()

    def look(self, number: int) -> Iterator[pl.DataFrame]:
        """Yield the columns of one of the `parts` without rows; of an object only its ends are brought.

        Raises:
            InputError: as `blocks`.

        """
        part = self.parts[number]
        with self._brought.said():
            self._brought.bring_ends(part.path)
            with opened(part.path) as file:
                yield from islice(self._blocks_within(file, part, None), 1)

    def rows_of(self, number: int) -> int | None:
        """Return how many rows one of the `parts` has; None where it does not say so, as CSV.

        Raises:
            InputError: it cannot be read.

        """
        if self._decoder is None:
            return None
        with self._brought.said():
            self._brought.bring_ends(self.parts[number].path)
            with opened(self.parts[number].path) as file:
                return self._decoder.head(file, self.known).rows

    def may_be_cut(self, number: int) -> bool:
        """Say whether one of the `parts`, a CSV file, can be read span by span."""
        with opened(self.parts[number].path) as file:
            return self._decoder is None and CsvFile(file, self.dialect, self.chunk_bytes).may_be_cut

    def look_for_cuts(self, number: int, start: int, end: int) -> CsvChunk:
        """Look at the bytes of one of the `parts`, a CSV file, for `storage.tables.csv_cuts.spans`.

        Raises:
            InputError: it cannot be read.

        """
        path = self.parts[number].path
        at_hand = self._brought.at_hand(path, self.around, keep=True)
        with self._brought.said(), at_hand as here, opened(here) as file:
            return CsvFile(file, self.dialect, self.chunk_bytes).look(start, end)

    def blocks_of(self, number: int, span: AnySpan | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows of one of the `parts` in order, first an empty frame with the columns.

        `span`: a part of it; the file is hashed where it begins at the first row.

        Raises:
            InputError: as `blocks`.

        """
        part = self.parts[number]
        at_hand = self._brought.at_hand(part.path, self.around, keep=span is not None)
        with self._brought.said(), at_hand as path, opened(path) as file:
            try:
                for block in self._blocks_within(file, part, span):
                    self._ids.look(block, part.path)
                    yield block
            except InputError:
                file.check_unchanged()  # what is wrong with a file that changes is that it changes
                raise

    def _blocks_within(self, file: Opened, part: Part, span: AnySpan | None) -> Iterator[pl.DataFrame]:
        if isinstance(span, CsvSpan) or self._decoder is None:
            return self._csv_blocks(file, part, span if isinstance(span, CsvSpan) else None)
        return self._parquet(file, part, span)

    def told(self) -> dict[str, Any]:
        """Return what was found in the files that were read so far, for JSON."""
        files = [{"sha256": file.sha256, "rows": file.rows, "name": file.name} for file in self.files]
        return {"files": files, "notes": self.notes, "ids": self._ids.told()}

    def add(self, number: int, told: Mapping[str, Any]) -> None:
        """Take what another process `told` of the file of this number, or of a span of it; in the order of the rows."""
        for file in told["files"]:
            if file["sha256"]:
                self.files.append(SourceFile(label=self._shown(self.parts[number].path), **file))
            else:
                self.files[-1] = replace(self.files[-1], rows=self.files[-1].rows + file["rows"])
        self.notes += told["notes"]
        self._ids.add(told["ids"])

    def conclude(self) -> None:
        """Complete the notes when all files were read.

        Raises:
            InputError: there are no rows.

        """
        extra = [name for name in self.columns if self.known is not None and name not in self.known]
        if extra:
            self.notes.append(f"{self.name}: not in the spec and ignored: {', '.join(extra)}")
        gap = missing_numbers(self.parts) if self.version is None else None  # a snapshot is whole
        self.notes += [*self._ids.notes(), *([f"{self.name}: {gap}"] if gap else [])]
        if not self.may_be_empty and not self.rows:
            raise InputError(
                f"{self.shown}: the {self.name} have a header but no rows. Expected at least one; check the export."
            )

    def read(self, tell: Tell = ignore) -> pl.DataFrame:
        """Open the table and read it whole; see `blocks`. `tell` takes the notes."""
        with self:
            whole = pl.concat(list(self.blocks()))
        for note in self.notes:
            tell(note)
        return whole

    def _parquet(self, file: Opened, part: Part, span: Span | None) -> Iterator[pl.DataFrame]:
        decoder = self._decoder
        if decoder is None:
            return
        rows, head = 0, decoder.head(file, self.known)
        self._check_columns(part, head.columns)
        for block in decoder.blocks(file, self.known, -(-self.chunk_bytes // self._row_bytes(head)), span):
            rows += block.height
            yield self._wanted(block, part)
        digest = "" if span and span[0] else file.digest()
        self.files.append(SourceFile(self._shown(part.path), digest, rows, _label(part.name)))

    def _csv_blocks(self, file: Opened, part: Part, span: CsvSpan | None) -> Iterator[pl.DataFrame]:
        csv = CsvFile(file, self.dialect, self.chunk_bytes)
        for block in csv.blocks() if span is None else csv.blocks_of(span):
            if not block.height:
                self._check_columns(part, dict.fromkeys(block.columns, "String"))
            yield self._wanted(block, part)
        if csv.has_byte_order_mark:
            self.notes.append(f"{part.name}: byte order mark skipped")
        self.files.append(SourceFile(self._shown(part.path), csv.sha256, csv.rows, _label(part.name)))

    def _shown(self, path: Path) -> str:
        return _label(self._brought.say(str(path)))

    def _wanted(self, block: pl.DataFrame, part: Part) -> pl.DataFrame:
        """Take the columns that are known, and those that the names of folders say."""
        said = [(key, value) for key, value in part.partition if key not in block.columns]
        own = block.with_columns(pl.lit(value, dtype=pl.String).alias(key) for key, value in said) if said else block
        return own.select(name for name in own.columns if self.known is None or name in self.known)

    def _check_columns(self, part: Part, columns: dict[str, str]) -> None:
        columns = columns | {key: "String" for key, _ in part.partition if key not in columns}
        if not self.columns:
            self.columns = columns
        if list(columns.items()) != list(self.columns.items()):
            raise InputError(
                f"{part.path}: columns or types differ from {self.parts[0].name}. Expected parts of one table, "
                "with the same columns in the same order."
            )

    def locate(self, rows: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Turn 1-based rows of the table into file names and 1-based rows of the file; null stays null."""
        index, row = self._places(rows)
        names = pl.Series([file.name for file in self.files], dtype=pl.String)
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
    path: Path,
    name: str,
    *,
    may_be_empty: bool = False,
    dialect: Dialect = Dialect(),  # noqa: B008 - frozen
    tell: Tell = ignore,
) -> pl.DataFrame:
    """Read a whole table strictly into memory; see `SourceTable`.

    Raises:
        InputError: it cannot be used; says where and what to do.

    """
    return SourceTable(path, name, may_be_empty=may_be_empty, dialect=dialect).read(tell)


def _label(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

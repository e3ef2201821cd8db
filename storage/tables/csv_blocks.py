"""A CSV file as frames of text, block by block: decompressed, decoded, checked, then parsed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from features.dialect import UTF_8, Dialect
from features.errors import InputError
from storage.opened import Opened
from storage.tables.compressed import COMPRESSED, READ_BYTES, decompressed
from storage.tables.csv_cuts import CsvChunk, CsvSpan
from storage.tables.csv_structure import MOST_RECORD_BYTES, CsvStructure
from storage.tables.decoded import in_utf8


@dataclass(slots=True)
class CsvFile:
    """An open CSV file. `sha256`, of the bytes on disk, and `rows` are complete behind the last block.

    `chunk_bytes` of text are looked at at a time.
    """

    opened: Opened
    dialect: Dialect
    chunk_bytes: int
    sha256: str = ""
    rows: int = 0
    has_byte_order_mark: bool = False

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.opened.path

    def size(self) -> int:
        """Return the bytes of its text, for which a compressed file is decompressed once.

        Raises:
            InputError: it is cut or damaged.

        """
        if not self._is_compressed:
            return self.opened.before.st_size
        self.opened.file.seek(0)
        return sum(map(len, decompressed(self._raw(), self.path, self.chunk_bytes)))

    @property
    def may_be_cut(self) -> bool:
        """Whether several processes can read it, each a span: its bytes are the text, which is UTF-8."""
        return not self._is_compressed and self.dialect.encoding == UTF_8

    @property
    def _is_compressed(self) -> bool:
        return self.path.suffix.lower() in COMPRESSED

    def _raw(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        while chunk := self.opened.file.read(READ_BYTES if self._is_compressed else self.chunk_bytes):
            digest.update(chunk)
            yield chunk
        self.opened.check_unchanged()
        self.sha256 = digest.hexdigest()

    def look(self, start: int, end: int) -> CsvChunk:
        """Look for places where a record may begin, between two bytes of a file that is not compressed."""
        return CsvChunk.of(start, self._between(start, end))

    def _between(self, start: int, end: int) -> Iterator[bytes]:
        self.opened.file.seek(start)
        while start < end and (chunk := self.opened.file.read(min(self.chunk_bytes, end - start))):
            start += len(chunk)
            yield chunk
        self.opened.check_unchanged()

    def blocks_of(self, span: CsvSpan) -> Iterator[pl.DataFrame]:
        """Yield an empty frame with the columns, then the records of a span of an UTF-8 file, checked as a file's are.

        Raises:
            InputError: as `blocks`; the span does not begin and end with its records.

        """
        source, text = str(self.path), self._between(span.start, span.end)
        structure = CsvStructure(source, self.dialect)
        if span.start == 0:
            text = in_utf8(text, self.dialect.encoding, source)
        else:
            self.opened.file.seek(0)
            text = chain([self.opened.file.readline(MOST_RECORD_BYTES)], text)
        for block, records in structure.blocks(text, None if span.start == 0 else span.line):
            self.rows += records
            yield self._parse(block, records, structure.columns)
        if span.start == 0:
            self.has_byte_order_mark = structure.has_byte_order_mark
            self.sha256 = self.opened.digest()

    def blocks(self) -> Iterator[pl.DataFrame]:
        """Yield an empty frame with the columns, then all records in order.

        Raises:
            InputError: it is no complete CSV file of this dialect, or changed; names the line.

        """
        source = str(self.path)
        structure = CsvStructure(source, self.dialect)
        content = decompressed(self._raw(), self.path, self.chunk_bytes)
        for text, records in structure.blocks(in_utf8(content, self.dialect.encoding, source)):
            self.rows += records
            yield self._parse(text, records, structure.columns)
        self.has_byte_order_mark = structure.has_byte_order_mark

    def _parse(self, text: bytes, records: int, columns: tuple[str, ...]) -> pl.DataFrame:
        schema = dict.fromkeys(columns, pl.String)
        if not records:
            return pl.DataFrame(schema=schema)
        separator = self.dialect.separator
        try:
            frame = pl.read_csv(
                text, schema=schema, has_header=False, separator=separator, quote_char='"', encoding="utf8"
            )
        except pl.exceptions.PolarsError as error:
            raise InputError(
                f"{self.path}: not readable as CSV ({type(error).__name__}). Export the file again."
            ) from error
        if frame.height != records:
            raise InputError(
                f"{self.path}: {records} records expected, the reader found {frame.height}. "
                "Export the file again as plain RFC 4180 CSV."
            )
        return frame

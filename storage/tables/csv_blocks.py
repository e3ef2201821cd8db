"""A CSV file as frames of text, block by block: decompressed, decoded, checked, then parsed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.dialect import Dialect
from features.errors import InputError
from storage.opened import Opened
from storage.tables.compressed import COMPRESSED, READ_BYTES, decompressed
from storage.tables.csv_structure import CsvStructure
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
    def _is_compressed(self) -> bool:
        return self.path.suffix.lower() in COMPRESSED

    def _raw(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        while chunk := self.opened.file.read(READ_BYTES if self._is_compressed else self.chunk_bytes):
            digest.update(chunk)
            yield chunk
        self.opened.check_unchanged()
        self.sha256 = digest.hexdigest()

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

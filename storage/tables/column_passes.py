"""All rows of a few columns at a time, for what looks at columns one by one: memory does not grow with their number."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from features.applications import require_columns
from features.dialect import Dialect
from features.errors import InputError
from features.rejects import APPLICATIONS
from features.spec.contract import IDENTITY
from storage.tables.tables import SourceTable, Tell, ignore

_CELL_BYTES = 24
_LEFT_OUT = "not in the spec"  # is noted of columns that another pass reads


class ColumnPasses:
    """The applications, read as often as it takes. Each pass reads the files strictly and notices if they changed."""

    at_once_bytes = 1 << 26  # of files up to this size all columns are read at once
    pass_bytes = 400_000_000

    def __init__(self, path: Path, dialect: Dialect = Dialect(), tell: Tell = ignore) -> None:  # noqa: B008 - frozen
        """Read the identity, or the whole table if it is small.

        Raises:
            InputError: the table cannot be used.

        """
        self._path, self._dialect = path, dialect
        with SourceTable(path, APPLICATIONS, dialect=dialect) as table:
            first = next(table.blocks())
            small = table.estimated_bytes() <= self.at_once_bytes
        require_columns(first, APPLICATIONS, IDENTITY)
        self.names = [name for name in first.columns if name not in IDENTITY]
        self._digests: list[str] = []
        read = self._read(None if small else {*IDENTITY}, tell)
        self._whole = read if small else None
        self.identity = read.select(IDENTITY)

    def __iter__(self) -> Iterator[pl.Series]:
        """Yield each column beside the identity, whole, in the order of the file."""
        if self._whole is not None:
            yield from (self._whole[name] for name in self.names)
            return
        count = max(1, self.pass_bytes // (_CELL_BYTES * max(1, self.identity.height)))
        for start in range(0, len(self.names), count):
            wanted = self.names[start : start + count]
            frame = self._read({*wanted})
            yield from (frame.drop_in_place(name) for name in wanted)

    def _read(self, known: set[str] | None, tell: Tell = ignore) -> pl.DataFrame:
        table = SourceTable(self._path, APPLICATIONS, known=known, dialect=self._dialect)
        frame = table.read(lambda note: None if _LEFT_OUT in note else tell(note))
        digests = [file.sha256 for file in table.files]
        if self._digests and digests != self._digests:
            raise InputError(f"{self._path}: changed while it was read. Draft again when nothing writes to it.")
        self._digests = digests
        return frame

"""The applications column by column, each with all its rows: memory does not grow with the number of columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.applications import require_columns
from features.dialect import Dialect
from features.rejects import APPLICATIONS
from features.spec.contract import IDENTITY
from storage.room import Room
from storage.spool import Spool
from storage.tables.tables import SourceTable, Tell, ignore

_MEMORY_BYTES = 1 << 28  # so much of a table stays in memory, what is above lies in a temporary file


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the identity together, and each other column by its number."""

    identity: pl.DataFrame
    others: Spool

    def __iter__(self) -> Iterator[pl.Series]:
        """Yield each column beside the identity, whole, in the order of the table."""
        yield from (one.to_series() for one in map(self.others.read, self.others.keys()))


@contextmanager
def read_columns(
    path: Path,
    out: Path,
    dialect: Dialect = Dialect(),  # noqa: B008 - frozen
    tell: Tell = ignore,
) -> Iterator[Columns]:
    """Read the applications strictly, once; the temporary file lies beside `out`. `tell` takes the notes.

    Raises:
        InputError: the table cannot be used.
        DeliveryError: there is no room for the temporary file.

    """
    identity: list[pl.DataFrame] = []
    with Spool(out, pl.DataFrame(), Room(_MEMORY_BYTES)) as others:
        with SourceTable(path, APPLICATIONS, dialect=dialect) as table:
            for block in table.blocks():
                if not identity:
                    require_columns(block, APPLICATIONS, IDENTITY)
                identity.append(block.select(IDENTITY))
                columns = block.select(pl.exclude(IDENTITY)).iter_columns()
                others.add({number: column.to_frame() for number, column in enumerate(columns)})
        for note in table.notes:
            tell(note)
        yield Columns(pl.concat(identity), others)

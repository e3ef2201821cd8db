"""What is odd about how ids are written in a table: it is said once, because a join of two such tables finds nobody."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from features.errors import InputError

_IDS = ("application_id", "customer_id")
_LOOKED_AT = 1000
_POINTED, _PLAIN = r"^[0-9]+\.0+$", r"^[0-9]+$"


class IdForms:
    """Looks at the ids of a table, block by block."""

    def __init__(self, table: str) -> None:
        """Begin; `table` names it in notes."""
        self._table = table
        self._floats: dict[str, str] = {}
        self._pointed: Counter[str] = Counter()
        self._plain: set[str] = set()

    def look(self, block: pl.DataFrame, path: Path) -> None:
        """Look at a block of the file `path`.

        Raises:
            InputError: ids are floats that lost digits, or have a fraction.

        """
        for name in _IDS:
            if name in block.columns:
                self._look(block.get_column(name), path)

    def _look(self, ids: pl.Series, path: Path) -> None:
        if ids.dtype.is_float():
            self._floats[ids.name] = str(ids.dtype)
            _check_whole(ids, path)
        elif ids.dtype == pl.String:
            pointed = ids.filter(ids.str.ends_with(".0")) if len(ids) else ids
            self._pointed[ids.name] += int(pointed.str.contains(_POINTED).sum())
            if ids.name not in self._plain and ids.head(_LOOKED_AT).str.contains(_PLAIN).any():
                self._plain.add(ids.name)

    def told(self) -> dict[str, Any]:
        """Return what was found, for JSON."""
        return {"floats": self._floats, "pointed": self._pointed, "plain": sorted(self._plain)}

    def add(self, told: Mapping[str, Any]) -> None:
        """Take what was found in other files of the table."""
        self._floats |= told["floats"]
        self._pointed.update(told["pointed"])
        self._plain.update(told["plain"])

    def notes(self) -> list[str]:
        """Say what was found."""
        notes = [
            f"{self._table}: {name} is {dtype}; its whole numbers are read as their digits (1001.0 is 1001) and NaN as "
            "missing. Write ids as text where the file is made."
            for name, dtype in self._floats.items()
        ]
        return notes + [
            f"{self._table}: {count:,} cells of {name} are written as 1001.0, others as 1001. Ids are compared as "
            "text, so these are different ones. Write them alike where the file is made (pandas: astype('Int64'))."
            for name, count in self._pointed.items()
            if count and name in self._plain
        ]


def _check_whole(ids: pl.Series, path: Path) -> None:
    largest = 2**53 if ids.dtype == pl.Float64 else 2**24
    given = ids.drop_nulls().drop_nans()
    if not bool(((given == given.floor()) & (given.abs() < largest)).all()):
        raise InputError(
            f"{path}: column {ids.name!r} is {ids.dtype} and holds a number with a fraction, or one so large that its "
            "last digits are lost. Write ids as text where the file is made."
        )

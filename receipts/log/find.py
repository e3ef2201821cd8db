"""Find receipts by the id of a decision, an application or a customer, through the indexes of the segments."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from features.errors import InputError
from receipts.log.folder import check_log
from receipts.log.index import candidates, index_size
from receipts.log.manifest import read_manifest
from receipts.log.read import Segment, segment_folders

T = TypeVar("T")


def find(
    log: Path, column: str, values: Sequence[str], *, shadows: bool = False
) -> Iterator[tuple[Segment, pl.DataFrame]]:
    """Yield the receipts whose id in `column` (one of `index.COLUMNS`) is one of `values`, segment by segment.

    Receipts of challengers are passed over without `shadows`. Where there are none, each index is checked first, so
    that a damaged one is no answer.

    Raises:
        InputError: the folder is no log, or a file of a segment that is needed is missing or changed.

    """
    check_log(log)
    nothing = True
    for folder in segment_folders(log):
        segment, rows = _found(folder, column, values, shadows=shadows)
        if rows is not None:
            nothing = False
            yield segment, rows
    if nothing:
        for folder in segment_folders(log):
            _settled(folder, lambda segment: segment.check("index") if segment.rows else None)


def _found(folder: Path, column: str, values: Sequence[str], *, shadows: bool) -> tuple[Segment, pl.DataFrame | None]:
    def look(segment: Segment) -> pl.DataFrame | None:
        if (segment.shadow and not shadows) or not segment.rows or _excluded(segment, column, values):
            return None
        found = places(segment, column, values)
        return segment.receipts(found) if found else None

    return _settled(folder, look)


def _settled(folder: Path, look: Callable[[Segment], T]) -> tuple[Segment, T]:
    """Look into a segment; anew where a removal has just replaced its files."""
    segment = Segment(folder, read_manifest(folder))
    try:
        return segment, look(segment)
    except (InputError, OSError):
        if read_manifest(folder).revision == segment.manifest.revision:
            raise
        return _settled(folder, look)


def places(segment: Segment, column: str, values: Sequence[str]) -> list[int]:
    """Return the positions of a segment's receipts whose id in `column` is one of `values`.

    Raises:
        InputError: a file of the segment is missing or changed.

    """
    segment.check("index")
    perhaps = sorted({place for value in values for place in candidates(segment.path("index"), column, value)})
    if not perhaps:
        return []
    ids = segment.receipts(perhaps)[column].to_list()
    return [place for place, found in zip(perhaps, ids, strict=True) if found in values]


def _excluded(segment: Segment, column: str, values: Sequence[str]) -> bool:
    """Tell whether the index excludes a segment; not if it is missing or was cut, which `places` names."""
    path = segment.path("index")
    try:
        whole = path.stat().st_size == index_size(segment.rows)
        return whole and not any(candidates(path, column, value) for value in values)
    except OSError:
        return False

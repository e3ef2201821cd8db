"""Find receipts by the id of a decision, an application or a customer, through the indexes of the segments."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from receipts.index import candidates
from receipts.log import check_log
from receipts.manifest import Manifest, read_manifest
from receipts.read import Segment, segment_folders

_FIRST_INDEX = Manifest(sealed={}).name("index")


def find(log: Path, column: str, values: Sequence[str]) -> Iterator[tuple[Segment, pl.DataFrame]]:
    """Yield the receipts whose id in `column` (one of `index.COLUMNS`) is one of `values`, segment by segment.

    Raises:
        InputError: the folder is no log, or a file of a segment that is needed is missing or changed.

    """
    check_log(log)
    for folder in segment_folders(log):
        if not _excluded(folder, column, values):
            segment = Segment(folder, read_manifest(folder))
            found = places(segment, column, values) if segment.rows else []
            if found:
                yield segment, segment.receipts(found)


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


def _excluded(folder: Path, column: str, values: Sequence[str]) -> bool:
    """Tell whether the index excludes a segment. Rows only ever go, so the first index excludes for all later ones."""
    try:
        return not any(candidates(folder / _FIRST_INDEX, column, value) for value in values)
    except FileNotFoundError:  # an index of a later revision, or none: the manifest knows
        return False

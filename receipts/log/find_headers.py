"""Find receipts by a header that came with their application, as a trace or a correlation id has it.

Headers have no index: the column is read in all segments that have one.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from receipts.frame import HEADERS
from receipts.log.folder import check_log
from receipts.log.read import ROWS, Segment, all_segments


def find_by_header(log: Path, name: str, value: str) -> Iterator[tuple[Segment, pl.DataFrame]]:
    """Yield receipts, of challengers too, whose header `name` (in any case of letters) is `value`, by segment.

    Raises:
        InputError: the folder is no log, or a file of a segment that is needed is missing or changed.

    """
    check_log(log)
    for segment in all_segments(log):
        if segment.rows and HEADERS in pl.read_parquet_schema(segment.path("receipts")):
            places = [at for at, text in enumerate(_texts(segment)) if text is not None and _has(text, name, value)]
            if places:
                yield segment, segment.receipts(places)


def with_header(receipts: pl.DataFrame, name: str, value: str) -> pl.DataFrame:
    """Return the receipts whose header `name` is `value`."""
    if HEADERS not in receipts.columns:
        return receipts.clear()
    kept = [text is not None and _has(text, name, value) for text in receipts[HEADERS]]
    return receipts.filter(pl.Series(kept, dtype=pl.Boolean))


def _texts(segment: Segment) -> Iterator[str | None]:
    for frame in segment.frames([HEADERS], ROWS):
        yield from frame[HEADERS]


def _has(text: str, name: str, value: str) -> bool:
    return any(key.lower() == name.lower() and found == value for key, found in json.loads(text).items())

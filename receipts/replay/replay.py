"""Replay: every receipt is decided again by the bundle that decided it, and each bit is compared."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from receipts.log.read import Segment, overlaps, within
from receipts.replay.rescore import Rescorer, differences
from scoring.scorer import Scorer

ROWS = 1 << 15
_FEATURE_ROWS, _FULL_ROWS = 1 << 13, 1 << 12
Parts = Iterator[tuple[Segment, pl.DataFrame]]
Piece = tuple[bool, pl.DataFrame]  # whether they hold the application


@dataclass(frozen=True, slots=True)
class Place:
    """Where a receipt is that differs."""

    decision_id: str
    writer: str
    number: int


@dataclass(slots=True)
class Replay:
    """What came of a replay: how many receipts, from what, and how many differ in which column."""

    from_applications: int = 0
    from_features: int = 0
    different: int = 0
    by_column: Counter[str] = field(default_factory=Counter)
    by_door: Counter[str] = field(default_factory=Counter)
    first: dict[str, Place] = field(default_factory=dict)
    bundles: list[str] = field(default_factory=list)

    @property
    def receipts(self) -> int:
        """All that were replayed."""
        return self.from_applications + self.from_features

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "receipts": self.receipts,
            "from_applications": self.from_applications,
            "from_features": self.from_features,
            "different": self.different,
            "by_column": dict(self.by_column.most_common()),
            "by_door": dict(self.by_door),
            "first": {column: asdict(place) for column, place in self.first.items()},
            "bundles": self.bundles,
        }

    def add(self, segment: Segment, piece: Piece, found: dict[str, NDArray[np.int64]]) -> None:
        """Take which receipts of a piece differ, by column."""
        full, receipts = piece
        self.from_applications += receipts.height * full
        self.from_features += receipts.height * (not full)
        self.by_door[segment.door] += receipts.height
        self.different += len({row for rows in found.values() for row in rows.tolist()})
        for column, rows in found.items():
            self.by_column[column] += len(rows)
            place = Place(receipts["decision_id"][int(rows[0])], segment.writer, segment.number)
            self.first.setdefault(column, place)


def replay(parts: Parts, bundles: dict[str, Path], threads: int = 1) -> Replay:
    """Replay receipts, which come by bundle, so that one bundle is loaded at a time.

    Raises:
        BundleError: a bundle is damaged, or does not reproduce its golden rows on this machine.
        InputError: a segment is missing or changed.

    """
    report = Replay()
    rescorer: Rescorer | None = None
    with ThreadPoolExecutor(threads) as pool:
        for segment, receipts in parts:
            if rescorer is None or rescorer.scorer.bundle.bundle_id != segment.bundle_id:
                rescorer = Rescorer(Scorer.open(bundles[segment.bundle_id]))
                report.bundles = sorted({*report.bundles, segment.bundle_id})
            pieces = list(by_content(receipts))
            for piece, found in zip(pieces, pool.map(partial(_compare, rescorer), pieces), strict=True):
                report.add(segment, piece, found)
    return report


def _compare(rescorer: Rescorer, piece: Piece) -> dict[str, NDArray[np.int64]]:
    full, receipts = piece
    made = rescorer.from_applications(receipts) if full else rescorer.from_features(receipts)
    return differences(receipts, made)


def by_content(receipts: pl.DataFrame) -> Iterator[Piece]:
    """Part receipts into some that hold their application (True) and some that hold the feature row alone."""
    full = receipts.filter(pl.col("application").is_not_null())
    rows = receipts.filter(pl.col("application").is_null()) if full.height else receipts
    yield from ((True, some) for some in full.iter_slices(_FULL_ROWS) if some.height)
    yield from ((False, some) for some in rows.iter_slices(_FEATURE_ROWS) if some.height)


def since_when(segments: list[Segment], since: datetime | None) -> list[Segment]:
    """Choose the segments that may hold receipts from `since` on, by bundle."""
    return sorted((s for s in segments if s.rows and overlaps(s, since, None)), key=lambda s: s.bundle_id)


def all_parts(segments: list[Segment], since: datetime | None) -> Parts:
    """Yield the receipts of segments from `since` on, in bounded memory.

    Raises:
        InputError: a segment is missing or changed.

    """
    for segment in segments:
        for frame in segment.frames(rows=ROWS):
            kept = frame.filter(*within(since, None))
            if kept.height:
                yield segment, kept

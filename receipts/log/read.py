"""Read a decision log: its segments, and their receipts in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from features.errors import InputError
from receipts.frame import KIND
from receipts.log.folder import WRITERS, check_log
from receipts.log.manifest import Manifest, read_manifest
from receipts.log.row_hash import NONCE
from storage.durable import sha256_of

ROWS = 1 << 16
GROUP_ROWS = 1 << 14  # of the file's row groups


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of one writer: receipts of one bundle and one door."""

    folder: Path
    manifest: Manifest

    @property
    def writer(self) -> str:
        """Who wrote it."""
        return str(self.manifest.sealed["writer"])

    @property
    def number(self) -> int:
        """Its place in the writer's chain, from 1."""
        return int(self.manifest.sealed["number"])

    @property
    def hash(self) -> str:
        """The link of the chain that it is."""
        return self.manifest.hash

    @property
    def bundle_id(self) -> str:
        """The bundle that decided."""
        return str(self.manifest.sealed["bundle_id"])

    @property
    def door(self) -> str:
        """`batch`, `stream` or `rest`."""
        return str(self.manifest.sealed["door"])

    @property
    def shadow(self) -> bool:
        """Whether it holds what a challenger would have decided, and no decisions."""
        return KIND in self.manifest.sealed

    @property
    def rows(self) -> int:
        """Receipts that are there; those that expired or were erased are not."""
        return int(self.manifest.sealed["rows"]) - sum(int(removal["rows"]) for removal in self.manifest.removals)

    @property
    def first_decided_at(self) -> datetime:
        """The earliest time of the door's clock among those sealed."""
        return datetime.fromisoformat(self.manifest.sealed["first_decided_at"])

    @property
    def last_decided_at(self) -> datetime:
        """The latest."""
        return datetime.fromisoformat(self.manifest.sealed["last_decided_at"])

    @property
    def dirt(self) -> list[dict[str, Any]]:
        """Cells that became missing: table, column, cause, cells. Empty where the door did not say."""
        return list(self.manifest.sealed.get("dirt", []))

    @property
    def keyed(self) -> bool:
        """Whether its ids are stored keyed."""
        return bool(self.manifest.sealed.get("keyed", False))

    def path(self, kind: str) -> Path:
        """Return a file of the segment: receipts, index or removed."""
        return self.folder / self.manifest.name(kind)

    def check(self, kind: str) -> None:
        """Check that a file is what was sealed; nothing reads it before.

        Raises:
            InputError: it is missing or changed; names it.

        """
        path = self.path(kind)
        try:
            found = sha256_of(path)
        except OSError as error:
            raise InputError(f"{path}: this file of the segment cannot be read ({error.strerror}).") from error
        if found != self.manifest.files[kind]:
            raise InputError(f"{path}: changed since it was sealed. Restore it from a copy.")

    def frames(self, columns: Sequence[str] | None = None, rows: int = ROWS) -> Iterator[pl.DataFrame]:
        """Yield the receipts, at most so many at a time, with these columns (all) and never the nonce.

        Raises:
            InputError: the file is missing or changed.

        """
        for frame in self.with_nonces(columns, rows):
            yield frame.drop(NONCE, strict=False)

    def with_nonces(self, columns: Sequence[str] | None = None, rows: int = ROWS) -> Iterator[pl.DataFrame]:
        """See `frames`; with the nonces, if no columns are named."""
        if not self.rows:
            return
        self.check("receipts")
        table = pl.scan_parquet(self.path("receipts"), glob=False)
        chosen = table if columns is None else table.select(columns)
        for start in range(0, self.rows, rows):
            yield chosen.slice(start, rows).collect()

    def receipts(self, positions: Sequence[int]) -> pl.DataFrame:
        """Return the receipts at these positions (of those that are there), which are in order.

        Raises:
            InputError: the file is missing or changed.

        """
        self.check("receipts")
        table = pl.scan_parquet(self.path("receipts"), glob=False).drop(NONCE)
        wanted = np.array(positions)
        groups = wanted // GROUP_ROWS
        parts: list[pl.DataFrame] = [
            table.slice(group * GROUP_ROWS, GROUP_ROWS).collect()[wanted[groups == group] - group * GROUP_ROWS]
            for group in np.unique(groups).tolist()
        ]
        return pl.concat(parts)


def segments(log: Path) -> list[Segment]:
    """Return the segments of a log that hold decisions, by writer and number.

    Raises:
        InputError: the folder is no log, or a manifest is damaged or of a newer release.

    """
    return [segment for segment in all_segments(log) if not segment.shadow]


def all_segments(log: Path) -> list[Segment]:
    """Return all segments of a log, also those of challengers, by writer and number.

    Raises:
        InputError: the folder is no log, or a manifest is damaged or of a newer release.

    """
    check_log(log)
    return [Segment(folder, read_manifest(folder)) for folder in segment_folders(log)]


def segment_folders(log: Path) -> list[Path]:
    """Return the folders of all segments, by writer and number."""
    writers = log / WRITERS
    if not writers.is_dir():
        return []
    return [
        folder
        for writer in sorted(path for path in writers.iterdir() if path.is_dir())
        for folder in sorted(path for path in writer.iterdir() if path.name.isdigit() and path.is_dir())
    ]


def frames(
    log: Path,
    *,
    bundle_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield receipts with since <= decided_at < until, at most `ROWS` at a time; of one bundle, or of all.

    Receipts of different bundles never share a frame; their columns may differ.

    Raises:
        InputError: the folder is no log, or a file is missing, changed or of a newer release.

    """
    for segment in segments(log):
        if (bundle_id is None or segment.bundle_id == bundle_id) and overlaps(segment, since, until):
            wanted = None if columns is None else list(dict.fromkeys((*columns, "decided_at")))
            for frame in segment.frames(wanted):
                kept = frame.filter(*within(since, until))
                yield kept if columns is None else kept.select(columns)


def overlaps(segment: Segment, since: datetime | None, until: datetime | None) -> bool:
    """Tell whether a segment may hold receipts of this time."""
    return (since is None or segment.last_decided_at >= since) and (until is None or segment.first_decided_at < until)


def within(since: datetime | None, until: datetime | None) -> list[pl.Expr]:
    """Return the conditions since <= decided_at < until."""
    after = [] if since is None else [pl.col("decided_at") >= since]
    return after if until is None else [*after, pl.col("decided_at") < until]

"""Remove receipts: those that are old (expire), or of one customer (erase). The chain still verifies.

1. sweep   files that an interrupted removal left
2. write   the rest of a segment under names of the next revision, and the hashes of the rows that go
3. switch  the manifest names the new files; from here on the receipts are gone from the log
4. delete  the old files; a removal that was killed before leaves them to the next one, and `verify` names them
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from receipts.log.find import places
from receipts.log.folder import busy, check_log, delivering
from receipts.log.manifest import Manifest, is_own_file
from receipts.log.read import Segment, all_segments
from receipts.log.row_hash import HASH_BYTES, row_hashes
from receipts.log.segment_files import write_contents, write_files
from storage.durable import flush
from storage.locks import Lock

EXPIRED, ERASED = "expired", "erased"
_REMOVED = np.dtype([("position", "<u8"), ("hash", f"V{HASH_BYTES}")])

Chooser = Callable[[Segment], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did: receipts that went, segments that they were in, files of earlier attempts that were swept."""

    receipts: int
    segments: int
    swept: int


def expire(log: Path, before: datetime, at: datetime) -> Removed:
    """Remove the receipts of decisions made before an instant; `at` is noted in the tombstones.

    Raises:
        InputError: the folder is no log, or a file is damaged.
        DeliveryError: the disk fails, or another removal is at work.

    """

    def old(segment: Segment) -> Sequence[int]:
        if segment.first_decided_at >= before:
            return ()
        if segment.last_decided_at < before:
            return range(segment.rows)
        times = pl.concat(list(segment.frames(["decided_at"])))["decided_at"]
        return np.flatnonzero((times < before).to_numpy()).tolist()

    return _remove(log, {"at": at.isoformat(), "why": EXPIRED}, old)


def erase(log: Path, customer_ids: Sequence[str], at: datetime) -> Removed:
    """Remove the receipts of a customer, who may be stored under these ids; `at` is noted in the tombstones.

    Raises:
        InputError: the folder is no log, or a file is damaged.
        DeliveryError: the disk fails, or another removal is at work.

    """
    tombstone = {"at": at.isoformat(), "why": ERASED}
    return _remove(log, tombstone, lambda segment: places(segment, "customer_id", customer_ids))


def _remove(log: Path, tombstone: dict[str, str], chooser: Chooser) -> Removed:
    check_log(log)
    with delivering(log), Lock(log / ".removal.lock", busy(log, "another removal of receipts")):
        found = all_segments(log)
        swept = sum(map(_sweep, found))
        counts = [_remove_from(segment, chooser(segment), tombstone) for segment in found if segment.rows]
    return Removed(sum(counts), sum(count > 0 for count in counts), swept)


def _remove_from(segment: Segment, positions: Sequence[int], tombstone: dict[str, str]) -> int:
    if not len(positions):
        return 0
    manifest = segment.manifest.after({**tombstone, "rows": len(positions)})
    if len(positions) < segment.rows:
        manifest = replace(manifest, files=_rest(segment, np.array(positions), manifest))
    manifest.write(segment.folder)
    _sweep(Segment(segment.folder, manifest))
    return len(positions)


def _rest(segment: Segment, positions: NDArray[np.int64], manifest: Manifest) -> dict[str, str]:
    rows = pl.concat(list(segment.with_nonces()))
    goes = np.zeros(rows.height, dtype=np.bool_)
    goes[positions] = True
    before = removed_rows(segment)
    now = np.empty(int(goes.sum()), dtype=_REMOVED)
    now["position"] = _sealed_positions(segment, before)[goes]
    now["hash"] = np.frombuffer(row_hashes(rows.filter(pl.Series(goes))), dtype=_REMOVED["hash"])
    content = np.sort(np.concatenate([before, now]), order="position").tobytes()
    files = write_files(segment.folder, manifest, rows.filter(pl.Series(~goes)))
    return files | write_contents(segment.folder, manifest, {"removed": content})


def removed_rows(segment: Segment) -> NDArray[np.void]:
    """Return `position` in the segment as it was sealed, and `hash`, of the rows that were removed, by position.

    Raises:
        InputError: the file that holds them is missing or changed.

    """
    if "removed" not in segment.manifest.files:
        return np.empty(0, dtype=_REMOVED)
    segment.check("removed")
    return np.frombuffer(segment.path("removed").read_bytes(), dtype=_REMOVED)


def _sealed_positions(segment: Segment, removed: NDArray[np.void]) -> NDArray[np.int64]:
    """Return where in the sealed segment the rows were that are there."""
    return np.delete(np.arange(int(segment.manifest.sealed["rows"])), removed["position"].astype(np.int64))


def sealed_hashes(segment: Segment) -> bytes:
    """Return the hashes of all rows that were sealed: computed for those that are there, stored for the others.

    Raises:
        InputError: a file is missing or changed.

    """
    removed = removed_rows(segment)
    hashes = np.empty(int(segment.manifest.sealed["rows"]), dtype=_REMOVED["hash"])
    hashes[removed["position"].astype(np.int64)] = removed["hash"]
    there = b"".join(row_hashes(frame) for frame in segment.with_nonces())
    hashes[_sealed_positions(segment, removed)] = np.frombuffer(there, dtype=_REMOVED["hash"])
    return hashes.tobytes()


def _sweep(segment: Segment) -> int:
    """Delete files of other revisions; return how many."""
    named = {segment.manifest.name(kind) for kind in segment.manifest.files}
    left = [path for path in segment.folder.iterdir() if is_own_file(path.name) and path.name not in named]
    for path in left:
        path.unlink()
    if left:
        flush(segment.folder)
    return len(left)

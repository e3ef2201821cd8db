"""The chain of one writer: segments that are never changed, each naming the hash of the one before.

1. stage   rows are hashed and written into a folder that no reader sees, flushed
2. list    the head's file says which hashes are about to be sealed
3. seal    each folder gets its manifest and, by one rename, its number: from here on its receipts are in the log
4. list    the head's file says that they are
A process that is killed before 3 leaves nothing but hidden folders, which the next one removes; before 4, a head's file
that says what was under way.
"""

import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from features.cells.instants import INSTANT_FORMAT
from features.errors import InputError, SettingsError
from receipts.frame import CHECK_ID, KIND
from receipts.log.folder import HEADS, WRITERS, busy, check_writer, create_log, delivering
from receipts.log.heads import Head, read_head, write_head
from receipts.log.manifest import NOTHING_BEFORE, Manifest, read_manifest
from receipts.log.row_hash import row_hashes, with_nonce
from receipts.log.segment_files import write_files
from scoring.bundle import sha256
from storage.durable import PART, flush
from storage.locks import Lock

__all__ = ["Chain", "Head", "Staged"]


@dataclass(frozen=True, slots=True)
class Staged:
    """Receipts that lie on the disk but not in the log yet."""

    folder: Path
    facts: dict[str, Any]
    files: dict[str, str]


class Chain:
    """One writer's chain, open for sealing. One process at a time; `stage` may be called from several threads."""

    def __init__(self, log: Path, writer: str, resources: ExitStack) -> None:
        """Use `open`."""
        self.log, self.writer = log, writer
        self._resources, self._lock, self._staged = resources, threading.Lock(), 0
        self._folder = log / WRITERS / writer
        self._clear()
        self.head, self.last_source = self._resume()

    @classmethod
    def open(cls, log: Path, writer: str) -> Self:
        """Open a writer's chain; makes the log and the writer where they are new.

        Raises:
            SettingsError: the folder is no log, the name cannot be used, or the chain's end is not what was listed.
            DeliveryError: another process holds this writer, or the disk fails.

        """
        check_writer(writer)
        create_log(log)
        folder = log / WRITERS / writer
        with ExitStack() as resources, delivering(log):
            folder.mkdir(parents=True, exist_ok=True)
            (log / HEADS).mkdir(exist_ok=True)
            flush(log)
            resources.enter_context(Lock(folder / ".lock", busy(folder, f"another process that writes as {writer}")))
            chain = cls(log, writer, resources)
            chain._resources = resources.pop_all()
            return chain

    def seal(
        self, frame: pl.DataFrame, *, dirt: pl.DataFrame | None = None, source: dict[str, Any] | None = None
    ) -> Head:
        """Stage and commit one frame of receipts; they are durable when this returns. See `stage`."""
        return self.commit([self.stage(frame, dirt=dirt, source=source)])

    def stage(
        self, frame: pl.DataFrame, *, dirt: pl.DataFrame | None = None, source: dict[str, Any] | None = None
    ) -> Staged:
        """Write receipts of one bundle and one door to the disk without putting them into the log.

        `dirt` (as of `Scored`) and `source` (what the door wants to find in `last_source`) go into the manifest.

        Raises:
            DeliveryError: the disk is full or fails.

        """
        rows = with_nonce(frame)
        facts = _facts(rows)
        facts |= {"dirt": dirt.to_dicts()} if dirt is not None else {}
        facts |= {"source": source} if source is not None else {}
        with self._lock:
            self._staged += 1
            folder = self._folder / f".staged-{self._staged}{PART}"
        with delivering(folder):
            folder.mkdir()
            return Staged(folder, facts, write_files(folder, Manifest(sealed={}), rows))

    def commit(self, staged: Sequence[Staged]) -> Head:
        """Put staged receipts into the log, in this order; they are durable when this returns.

        Raises:
            DeliveryError: the disk is full or fails; some of the first may be in the log.

        """
        if not staged:
            return self.head
        manifests: list[Manifest] = []
        for number, one in enumerate(staged, start=self.head.number + 1):
            previous = manifests[-1].hash if manifests else self.head.hash
            sealed = {"writer": self.writer, "number": number, "previous": previous, **one.facts}
            manifests.append(Manifest(sealed=sealed, files=one.files))
        with delivering(self._folder):
            write_head(self.log, self.head, [manifest.hash for manifest in manifests])
            for one, manifest in zip(staged, manifests, strict=True):
                manifest.write(one.folder)
                one.folder.rename(self._folder / f"{manifest.sealed['number']:08}")
                self.head = Head(self.writer, manifest.sealed["number"], manifest.hash, one.facts["rows"])
                self.last_source = one.facts.get("source")
            flush(self._folder)
            write_head(self.log, self.head, [])
        return self.head

    def _clear(self) -> None:
        for left in self._folder.glob(f".*{PART}"):
            shutil.rmtree(left)

    def _resume(self) -> tuple[Head, dict[str, Any] | None]:
        listed = read_head(self.log, self.writer)
        numbers = [int(path.name) for path in self._folder.iterdir() if path.name.isdigit()]
        head, source = Head(self.writer, 0, NOTHING_BEFORE), None
        try:
            if numbers:
                manifest = read_manifest(self._folder / f"{max(numbers):08}")
                head = Head(self.writer, max(numbers), manifest.hash, manifest.sealed["rows"])
                source = manifest.sealed.get("source")
        except InputError as error:
            raise SettingsError(str(error)) from error
        if not listed.agrees(head):
            raise SettingsError(
                f"{self._folder}: its last segment is {head.number}, which is not the one listed in {HEADS}. Segments "
                "were removed, added or changed; see `credit log verify`. Restore them, or go on as another writer."
            )
        if head.number != listed.number:
            write_head(self.log, head, [])
        return head, source

    def close(self) -> None:
        """Let others write; what was staged and not committed is removed."""
        self._clear()
        self._resources.close()

    def __enter__(self) -> Self:
        """Write within this block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let others write."""
        self.close()


def _facts(rows: pl.DataFrame) -> dict[str, Any]:
    bundles, doors = rows["bundle_id"].unique().to_list(), rows["door"].unique().to_list()
    kinds = rows[KIND].unique().to_list() if KIND in rows.columns else [None]
    if len(bundles) != 1 or len(doors) != 1 or len(kinds) != 1:
        raise ValueError(f"a segment holds receipts of one bundle, door and kind, these: {bundles}, {doors}, {kinds}")
    times = pl.col("decided_at").dt.strftime(INSTANT_FORMAT)
    first, last = rows.select(first=times.min(), last=times.max()).row(0)
    facts = {
        "rows": rows.height,
        "rows_hash": sha256(row_hashes(rows)),
        "bundle_id": bundles[0],
        "door": doors[0],
        "first_decided_at": first,
        "last_decided_at": last,
    }
    facts |= {KIND: kinds[0]} if kinds[0] is not None else {}
    return facts | ({"keyed": True} if rows[CHECK_ID].null_count() < rows.height else {})

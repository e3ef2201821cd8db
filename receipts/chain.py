"""The chain of one writer: segments that are never changed, each naming the hash of the one before.

1. stage   rows are hashed and written into a folder that no reader sees, flushed
2. list    the head's file says which hashes are about to be sealed
3. seal    each folder gets its manifest and, by one rename, its number: from here on its receipts are in the log
4. list    the head's file says that they are
A process that is killed before 3 leaves nothing but hidden folders, which the next one removes; before 4, a head's file
that says what was under way.
"""

import io
import json
import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from features.errors import InputError, SettingsError
from receipts.files import PART, delivering, flush_file, flush_folder, locked, put
from receipts.frame import CHECK_ID
from receipts.index import make_index
from receipts.log import HEADS, WRITERS, check_writer, create_log
from receipts.manifest import NOTHING_BEFORE, Manifest, read_manifest
from receipts.read import GROUP_ROWS
from receipts.row_hash import row_hashes, with_nonce
from scoring.bundle import canonical_json, sha256
from scoring.decisions import INSTANT_FORMAT


@dataclass(frozen=True, slots=True)
class Head:
    """The last segment of a writer. Whoever keeps `hash` elsewhere can prove later that nothing before it changed."""

    writer: str
    number: int
    hash: str
    rows: int = 0


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
            flush_folder(log)
            resources.enter_context(locked(folder / ".lock", f"another process that writes as {writer}"))
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
        bundles, doors = frame["bundle_id"].unique().to_list(), frame["door"].unique().to_list()
        if len(bundles) != 1 or len(doors) != 1:
            raise ValueError(f"a segment holds receipts of one bundle and door, these are of {bundles}, {doors}")
        rows = with_nonce(frame)
        first, last = (rows.select(e.dt.strftime(INSTANT_FORMAT)).item() for e in _span("decided_at"))
        facts = {
            "rows": rows.height,
            "rows_hash": sha256(row_hashes(rows)),
            "bundle_id": bundles[0],
            "door": doors[0],
            "first_decided_at": first,
            "last_decided_at": last,
        }
        facts |= {"keyed": True} if rows[CHECK_ID].null_count() < rows.height else {}
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
            self._list(self.head, [manifest.hash for manifest in manifests])
            for one, manifest in zip(staged, manifests, strict=True):
                manifest.write(one.folder)
                one.folder.rename(self._folder / f"{manifest.sealed['number']:08}")
                self.head = Head(self.writer, manifest.sealed["number"], manifest.hash, one.facts["rows"])
                self.last_source = one.facts.get("source")
            flush_folder(self._folder)
            self._list(self.head, [])
        return self.head

    def _list(self, head: Head, sealing: list[str]) -> None:
        listed = ListedHead(self.writer, head.number, head.hash, tuple(sealing))
        put(self.log / HEADS / f"{self.writer}.json", canonical_json(asdict(listed)))

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
            self._list(head, [])
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


@dataclass(frozen=True, slots=True)
class ListedHead:
    """The head of a writer as its file lists it, and the hashes that were being sealed when it was written."""

    writer: str
    number: int = 0
    hash: str = NOTHING_BEFORE
    sealing: tuple[str, ...] = ()

    def agrees(self, head: Head) -> bool:
        """Tell whether a chain may end so: at the listed head or at one that was being sealed behind it."""
        allowed = (self.hash, *self.sealing)
        return 0 <= head.number - self.number < len(allowed) and allowed[head.number - self.number] == head.hash


def read_head(log: Path, writer: str) -> ListedHead:
    """Read the listed head of a writer; a writer that sealed nothing has none.

    Raises:
        InputError: the file is damaged.

    """
    path = log / HEADS / f"{writer}.json"
    try:
        content = path.read_bytes()
        values = json.loads(content)
        listed = ListedHead(writer, int(values["number"]), str(values["hash"]), tuple(values["sealing"]))
        if content == canonical_json(asdict(listed)):
            return listed
    except FileNotFoundError:
        return ListedHead(writer)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not readable as the head of a writer. Restore it from a copy.") from error
    raise InputError(f"{path}: changed since it was written. Restore it from a copy.")


def write_files(folder: Path, manifest: Manifest, rows: pl.DataFrame) -> dict[str, str]:
    """Write and flush the receipts and their index under the names of the manifest's revision; return their hashes."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=1, row_group_size=GROUP_ROWS)
    contents = {"receipts": buffer.getvalue(), "index": make_index(rows)}
    return write_contents(folder, manifest, contents)


def write_contents(folder: Path, manifest: Manifest, contents: dict[str, bytes]) -> dict[str, str]:
    """Write and flush files under the names of the manifest's revision; return their hashes."""
    for kind, content in contents.items():
        path = folder / manifest.name(kind)
        path.write_bytes(content)
        flush_file(path)
    flush_folder(folder)
    return {kind: sha256(content) for kind, content in contents.items()}


def _span(column: str) -> tuple[pl.Expr, pl.Expr]:
    return pl.col(column).min(), pl.col(column).max()

"""Verify a log: each chain from its first segment to its listed head, each file, each row, and what does not belong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from features.errors import InputError
from receipts.frame import KIND
from receipts.log.folder import HEADS, MARK, OUTBOX, OUTCOMES, WRITERS, check_log
from receipts.log.heads import Head, ListedHead, read_head
from receipts.log.index import COLUMNS, make_index
from receipts.log.manifest import MANIFEST, NOTHING_BEFORE, is_own_file, read_manifest
from receipts.log.read import Segment
from receipts.log.removal import sealed_hashes
from scoring.bundle import sha256
from storage.durable import PART

_TRIES = 10


@dataclass(slots=True)
class Audit:
    """What was found. `problems` name the place and what is wrong; `notes` are no reason to worry.

    `shadows` are receipts of challengers, which are none of `receipts`. `links`: the hash of each segment that is
    there, by writer and number.
    """

    segments: int = 0
    receipts: int = 0
    shadows: int = 0
    removed: int = 0
    heads: list[Head] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    links: dict[tuple[str, int], str] = field(default_factory=dict, repr=False)


def audit(log: Path, heads: Sequence[str] = ()) -> Audit:
    """Verify a whole log; each hash of `heads`, kept elsewhere, must still be a link of a chain.

    Raises:
        InputError: the folder is no log.

    """
    check_log(log)
    found = Audit()
    known = {MARK, HEADS, WRITERS, OUTBOX, OUTCOMES}
    found.problems += [_does_not_belong(log / name) for name in sorted(set(_names(log)) - known)]
    writers = _names(log / WRITERS)
    listed = {name.removesuffix(".json") for name in _names(log / HEADS)}
    for writer in sorted({*writers, *listed}):
        _Writer(log, writer, found).audit()
    links = set(found.links.values())
    found.problems += [
        f"--head {head}: no chain of this log has this hash. The log was rewritten or cut since it was noted."
        for head in heads
        if head.lower() not in links
    ]
    return found


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _does_not_belong(path: Path) -> str:
    return f"{path}: does not belong to the log. Remove it."


class _Writer:
    """The audit of one writer's chain."""

    def __init__(self, log: Path, writer: str, found: Audit) -> None:
        self._log, self._writer, self._found = log, writer, found
        self._folder = log / WRITERS / writer

    def audit(self) -> None:
        """Follow the chain."""
        names = self._snapshot()
        numbers = sorted(int(name) for name in names if name.isdigit() and name == f"{int(name):08}")
        strangers = sorted(set(names) - {f"{number:08}" for number in numbers})
        self._found.problems += [_does_not_belong(self._folder / name) for name in strangers]
        if any(path.name.endswith(PART) for path in self._folder.glob(".*")):
            self._found.notes.append(
                f"{self._folder}: holds what is not sealed yet, or what an ended process left; its next start clears it"
            )
        self._missing(numbers)
        last: Segment | None = None
        for number in numbers:
            last = self._segment(number, last)
            self._found.links |= {(self._writer, number): last.hash} if last else {}
        self._head(last, numbers)

    def _snapshot(self) -> list[str]:
        """Return the names of segments, and keep the head as it was listed meanwhile; the writer may be at work."""
        for _ in range(_TRIES):
            before, names = self._listed(), _names(self._folder)
            if self._listed() == before:
                break
        return names

    def _listed(self) -> ListedHead | InputError:
        try:
            self.listed: ListedHead | InputError = read_head(self._log, self._writer)
        except InputError as error:
            self.listed = error
        return self.listed

    def _missing(self, numbers: list[int]) -> None:
        for number in sorted(set(range(1, max(numbers, default=0))) - set(numbers)):
            self._found.problems.append(f"{self._folder / f'{number:08}'}: this segment is missing. It was removed.")

    def _segment(self, number: int, before: Segment | None) -> Segment | None:
        folder = self._folder / f"{number:08}"
        try:
            segment = Segment(folder, read_manifest(folder))
        except InputError as error:
            self._found.problems.append(str(error))
            return None
        self._found.segments += 1
        self._found.receipts += 0 if segment.shadow else segment.rows
        self._found.shadows += segment.rows if segment.shadow else 0
        self._found.removed += int(segment.manifest.sealed["rows"]) - segment.rows
        self._link(segment, number, before)
        self._files(segment)
        return segment

    def _link(self, segment: Segment, number: int, before: Segment | None) -> None:
        found, previous = self._found, segment.manifest.sealed["previous"]
        if (segment.writer, segment.number) != (self._writer, number):
            found.problems.append(
                f"{segment.folder}: is segment {segment.number} of {segment.writer}. Segments were swapped or added."
            )
        elif number == 1 and previous != NOTHING_BEFORE:
            found.problems.append(f"{segment.folder}: follows another segment, but is the first. It was changed.")
        elif before is not None and before.number == number - 1:
            if previous != before.hash:
                found.problems.append(
                    f"{segment.folder}: does not follow segment {before.number} as it is. One of the two was replaced."
                )
            if segment.first_decided_at < before.last_decided_at:
                found.notes.append(f"{segment.folder}: the door's clock ran backwards before it")

    def _files(self, segment: Segment) -> None:
        named = {segment.manifest.name(kind) for kind in segment.manifest.files}
        for name in sorted({path.name for path in segment.folder.iterdir()} - named - {MANIFEST}):
            advice = "Left by a removal that was interrupted; run it again." if is_own_file(name) else "Remove it."
            self._found.problems.append(f"{segment.folder / name}: does not belong to the segment. {advice}")
        try:
            for kind in segment.manifest.files:
                segment.check(kind)
            problem = _content_problem(segment)
        except InputError as error:
            problem = str(error)
        self._found.problems += [problem] if problem else []

    def _head(self, last: Segment | None, numbers: list[int]) -> None:
        listed = self.listed
        if isinstance(listed, InputError):
            self._found.problems.append(str(listed))
            return
        end = numbers[-1] if numbers else 0
        if end and last is None:  # its manifest is a problem already
            return
        head = Head(self._writer, end, last.hash if last else NOTHING_BEFORE)
        self._found.heads += [head] if end else []
        if listed.agrees(head):
            return
        more = "removed" if end < listed.number else "added" if end > listed.number else "replaced"
        self._found.problems.append(
            f"{self._folder}: ends with segment {end}, {HEADS} lists {listed.number}: at its end segments were {more}."
        )


def _content_problem(segment: Segment) -> str | None:
    """Say what is wrong with the content of a segment whose files have the hashes that its manifest names."""
    if not segment.rows:
        return None
    where, sealed = segment.folder, segment.manifest.sealed
    if not {"receipts", "index"} <= segment.manifest.files.keys():
        return f"{where / MANIFEST}: names no receipts, though {segment.rows} should be there. It was changed."
    try:
        rows = pl.concat(list(segment.frames([*COLUMNS, "bundle_id", "door"])))
        hashes = sealed_hashes(segment)
    except (pl.exceptions.PolarsError, ValueError, IndexError) as error:
        return f"{where}: its receipts cannot be read ({type(error).__name__}). They were replaced."
    if rows.height != segment.rows or sha256(hashes) != sealed["rows_hash"]:
        return f"{where}: its receipts are not those that were sealed. They were replaced."
    if segment.path("index").read_bytes() != make_index(rows):
        return f"{segment.path('index')}: is not the index of these receipts. It was replaced."
    stated = rows.select(
        pl.all_horizontal(pl.col("bundle_id") == sealed["bundle_id"], pl.col("door") == sealed["door"]).all()
    ).item()
    stated &= (KIND in pl.read_parquet_schema(segment.path("receipts"))) == segment.shadow
    return None if stated else f"{where / MANIFEST}: names another bundle, door or kind than its receipts."

"""Receipts of REST workers that no segment holds yet, read from their outboxes while these are written to.

Whoever looks for one looks here first and into the segments then: what is sealed in between is found twice, not missed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl

from features.errors import DeliveryError
from features.spec.file import parse_spec
from receipts.line_parts import ReceiptError
from receipts.log.find_headers import with_header
from receipts.log.folder import OUTBOX, check_log
from receipts.outbox.outbox_files import Found, files_of, is_of_challenger, look_into
from receipts.pii import Pseudonymiser

Matching = Callable[[pl.DataFrame], pl.DataFrame]
_SAME = ("decision_id", "request_id", "row", "decided_at")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where receipts wait to be sealed."""

    writer: str
    file: str


@dataclass(slots=True)
class Unsealed:
    """What the outboxes of a log hold of an id. `rows`: all receipts in them; `unread`: why some could not be read."""

    found: list[tuple[Waiting, pl.DataFrame]] = field(default_factory=list)
    rows: int = 0
    unread: list[str] = field(default_factory=list)

    def but(self, sealed: list[pl.DataFrame]) -> list[tuple[Waiting, pl.DataFrame]]:
        """Return what was found without what segments hold by now."""
        if not sealed:
            return self.found
        there = pl.concat([frame.select(_SAME) for frame in sealed])
        left = [(at, frame.join(there, on=_SAME, how="anti", nulls_equal=True)) for at, frame in self.found]
        return [(at, frame) for at, frame in left if frame.height]


def find_unsealed(log: Path, column: str, value: str, key: bytes | None, *, header: bool = False) -> Unsealed:
    """Look for the receipts whose id in `column` is `value`; they are returned as they will be stored.

    `header`: `column` is the name of a header, in lower case.

    Raises:
        InputError: the folder is no log.
        SettingsError: one that was found holds personal data, and there is no key.

    """
    check_log(log)
    text = f'"{column}":'.encode() + msgspec.json.encode(value)  # as the decision's part of a line has it
    unsealed = Unsealed()

    def matching(frame: pl.DataFrame) -> pl.DataFrame:
        return with_header(frame, column, value) if header else frame.filter(pl.col(column) == value)

    for path in _files(log / OUTBOX, unsealed):
        try:
            found = look_into(path, text)
            unsealed.rows += found.rows
            waiting = Waiting(path.parent.name, path.name)
            unsealed.found += [(waiting, frame) for frame in _frames(path, found, matching, key)]
        except (DeliveryError, ReceiptError) as error:
            unsealed.unread += [f"{path}: {error}"] if path.exists() else []  # else it was sealed and removed just now
    return unsealed


def _files(root: Path, unsealed: Unsealed) -> list[Path]:
    try:
        folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not is_of_challenger(path)]
        return [path for folder in folders for path in files_of(folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        unsealed.unread.append(f"{root}: {error.strerror}")
        return []


def _frames(path: Path, found: Found, matching: Matching, key: bytes | None) -> list[pl.DataFrame]:
    if not found.lines:
        return []
    from receipts.lines import receipt_frames  # noqa: PLC0415 - loads all that scores, for which few searches have a use

    spec = parse_spec(found.made_by.spec, str(path))
    frames = [matching(frame) for _, frame in receipt_frames(found.lines, lambda _id: spec)]
    return [Pseudonymiser(spec, key).frame(frame) for frame in frames if frame.height]

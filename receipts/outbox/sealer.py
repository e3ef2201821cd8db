"""From the outboxes of REST workers to segments, exactly once, however often anything is killed.

1. list     the files of a writer; then see whether its worker lives: if so, its last file is still being written
2. read     all receipts of the oldest complete file, or nothing
3. seal     one segment, whose manifest holds the name of the file; durable before the next line
4. remove   the file, durably. A kill between 3 and 4 leaves a file whose name is in the writer's last segment: the next
            pass removes it without sealing it again
"""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl

from features.errors import CreditError, InputError
from features.spec.file import parse_spec
from receipts.lines import receipt_frames
from receipts.log.chain import Chain, Head
from receipts.log.folder import OUTBOX, delivering
from receipts.outbox.outbox_files import LOCK, Maker, files_of, read_file, remove_file
from receipts.pii import Pseudonymiser
from storage.locks import BusyError, Lock


def seal_outboxes(
    log: Path, pii_key: bytes | None, sealed: Callable[[Head], None], failed: Callable[[str, CreditError], None]
) -> None:
    """Seal what is complete; `sealed` is told of each segment, `failed` of each writer that could not be sealed."""
    root = log / OUTBOX
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        try:
            with delivering(folder):
                complete = _complete(folder)
            if complete:
                _seal(Chain.open(log, folder.name), complete, pii_key, sealed)
        except CreditError as error:
            failed(folder.name, error)


def waiting_since(log: Path) -> float:
    """Return when the oldest file that is certainly complete was last written to (since 1970); infinity: none is."""
    folders = [path for path in (log / OUTBOX).glob("*") if path.is_dir()]
    oldest = [path for folder in folders for path in files_of(folder)[:-1]]
    times = []
    for path in oldest:
        with suppress(FileNotFoundError):  # it was sealed just now
            times.append(path.with_name(f"{path.name}-wal").stat().st_mtime)
    return min(times, default=math.inf)


def _complete(folder: Path) -> list[Path]:
    files = files_of(folder)  # before the look at the lock: what a worker begins after it is not complete
    return files if not _held(folder) else files[:-1]


def _held(folder: Path) -> bool:
    try:
        with Lock(folder / LOCK):
            return False
    except BusyError:
        return True


def _seal(chain: Chain, files: list[Path], pii_key: bytes | None, sealed: Callable[[Head], None]) -> None:
    with chain:
        for path in files:
            source = {"outbox": path.name}
            if path.exists() and chain.last_source != source:
                made_by, lines = read_file(path)
                if made_by is not None and lines:
                    sealed(chain.seal(_frame(path, made_by, lines, pii_key), source=source))
            remove_file(path)


def _frame(path: Path, made_by: Maker, lines: list[bytes], pii_key: bytes | None) -> pl.DataFrame:
    spec = parse_spec(made_by.spec, str(path))
    (bundle_id, frame), *others = receipt_frames(lines, lambda _id: spec)
    if bundle_id != made_by.bundle_id or others:
        raise InputError(f"{path}: holds receipts of another bundle than its maker's. It was changed.")
    return Pseudonymiser(spec, pii_key).frame(frame)

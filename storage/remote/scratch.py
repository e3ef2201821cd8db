"""A folder for what a run brought from elsewhere; what killed runs left of theirs is removed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import DeliveryError
from storage.locks import BusyError, Lock

_PREFIX = "credit-objects-"
_LOCK = ".lock"


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that this user alone may read, below the system's folder for temporary files (`TMPDIR`).

    Raises:
        DeliveryError: it cannot be made.

    """
    around = Path(tempfile.gettempdir())
    turn = around / f".{_PREFIX}{os.getuid()}.lock"
    try:  # in turn, so that a folder that is just being made is not taken for one that is left
        with Lock(turn, wait=True, passing=True):
            _remove_left(around)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=around))
            lock = Lock(folder / _LOCK)
    except OSError as error:
        raise DeliveryError(f"{around}: no temporary folder can be made ({error.strerror}). Set TMPDIR.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def check_room(folder: Path, needed: int, what: str) -> None:
    """Check that so many bytes can lie in a folder.

    Raises:
        DeliveryError: there is less.

    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DeliveryError(
            f"{what}: {needed / 1e9:.1f} GB must lie on this machine while they are read, and {folder.parent} has "
            f"{free / 1e9:.1f} GB free. Set TMPDIR to a folder with more room, or score part by part."
        )


def _remove_left(around: Path) -> None:
    for folder in around.glob(f"{_PREFIX}*"):
        if not (folder / _LOCK).is_file() or folder.stat().st_uid != os.getuid():
            continue  # somebody else's
        try:
            with Lock(folder / _LOCK):
                shutil.rmtree(folder, ignore_errors=True)
        except (BusyError, OSError):
            continue

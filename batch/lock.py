"""One run at a time per output: a second cron job ends at once instead of mixing its files with the first one's."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import DeliveryError


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Hold the lock of an output. The kernel frees it when the process ends, however it ends.

    Raises:
        DeliveryError: another run holds it.

    """
    path = out.with_name(f".{out.name}.lock")
    descriptor = _acquire(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DeliveryError(
                f"{path.with_name(path.name[1:-5])}: another run is writing this output. Wait for it, or end it."
            ) from error
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)  # the run before removed this file between our opening and locking it

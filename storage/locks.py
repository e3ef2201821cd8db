"""A lock of a file, which the kernel frees when its process ends, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import Self

from features.errors import DeliveryError

__all__ = ["BusyError", "Lock"]


class BusyError(DeliveryError):
    """Another process holds the lock."""


class Lock:
    """Held from its making until it is released. On local disks, between the processes of one machine."""

    def __init__(self, path: Path, busy: str = "", *, wait: bool = False, passing: bool = False) -> None:
        """Take the lock. `wait`: until whoever holds it is done; `passing`: the file goes when the lock is released.

        Raises:
            BusyError: another process holds it; `busy` is what it says.
            OSError: there can be no such file.

        """
        self._path, self._passing = path, passing
        self._descriptor = _taken(path, busy, 0 if wait else fcntl.LOCK_NB)

    def release(self) -> None:
        """Let another process have it."""
        if self._passing:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Hold it within this block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()


def _taken(path: Path, busy: str, how: int) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        except BlockingIOError as error:
            os.close(descriptor)
            raise BusyError(busy) from error
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)  # whoever held it removed this file between our opening and locking it

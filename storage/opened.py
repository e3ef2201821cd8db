"""A file opened for reading that must not change while it is read."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.errors import InputError

__all__ = ["Opened", "changed", "identity", "opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open regular file and what it was when it was opened."""

    path: Path
    file: "io.BufferedReader[io.FileIO]"
    before: os.stat_result

    @property
    def identity(self) -> list[int]:
        """What tells this file from another that takes its name."""
        return identity(self.before)

    def check_unchanged(self) -> None:
        """Check that it is still what it was when it was opened.

        Raises:
            InputError: it is not.

        """
        if identity(os.fstat(self.file.fileno())) != self.identity:
            raise changed(self.path)

    def digest(self) -> str:
        """Return the SHA-256 of the whole file, having checked that it did not change since it was opened.

        Raises:
            InputError: it did.

        """
        self.file.seek(0)
        found = hashlib.file_digest(self.file, "sha256")
        self.check_unchanged()
        return found.hexdigest()


def identity(status: os.stat_result) -> list[int]:
    """Return what changes when a file is replaced or written to."""
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def changed(path: Path) -> InputError:
    """Make the error that names a file which changed."""
    return InputError(f"{path}: changed while it was read. Start the run when the file is complete.")


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a regular file; never waits for the other end of a pipe.

    Raises:
        InputError: it cannot be opened or read, or is no regular file.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with io.BufferedReader(io.FileIO(descriptor)) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise InputError(f"{path}: is no regular file. Expected a file on disk; copy its content to one.")
            yield Opened(path, file, before)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error

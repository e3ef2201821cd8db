"""Durable files: what is put in place is whole, is on the disk with its name, and replaces what was there in one step.

A reader sees the old content or the new, never a part of it: the new content is written beside its target, flushed and
read back, then renamed, and the folder is flushed, so that the name is there after a crash of the machine as well.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from features.errors import DeliveryError

__all__ = [
    "PART",
    "Replacement",
    "delivering",
    "flush",
    "open_to_readers",
    "put",
    "put_folder",
    "put_link",
    "remove_parts",
    "replace_files",
    "sha256_of",
    "write_through",
]

PART = ".part"
_ORDINARY, _FOLDER, _FILE = 0o666, 0o755, 0o644


@contextmanager
def delivering(where: Path, what: str = "the output") -> Iterator[None]:
    """Turn errors of the disk within the block into one that says what could not be written.

    Raises:
        DeliveryError: so.

    """
    try:
        yield
    except OSError as error:
        raise DeliveryError(
            f"{error.filename or where}: {what} could not be written ({error.strerror}). What was there before is as "
            "it was. Check room and permissions, then try again."
        ) from error


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put(path: Path, content: bytes, mode: int = _ORDINARY) -> None:
    """Replace a file. `mode`: its permissions, of which the process's mask takes away.

    Raises:
        OSError: it could not be written; the file is as it was.
        DeliveryError: it did not read back as written; the file is as it was.

    """
    try:
        _write_part(path, lambda file: file.write(content), mode)
        part_of(path).replace(path)
    finally:
        part_of(path).unlink(missing_ok=True)
    flush(path.parent)


def put_link(link: Path, target: Path) -> None:
    """Let a link point to another target, in one step.

    Raises:
        OSError: it could not be written; the link is as it was.

    """
    part = link.with_name(f".{link.name}.{os.getpid()}{PART}")
    try:
        part.symlink_to(target)
        part.replace(link)
    finally:
        part.unlink(missing_ok=True)
    flush(link.parent)


def put_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder of files, which every user of the machine may read, under a name that is not there yet.

    Raises:
        OSError: it could not be written; there is no such folder.

    """
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        for name, content in contents.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            write_through(part / name, content)
        open_to_readers(part, *part.rglob("*"))
        for path in (part, *part.rglob("*")):
            if path.is_dir():
                flush(path)
        part.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def open_to_readers(*paths: Path) -> None:
    """Let every user of the machine read files and folders, whatever the process's mask: doors may run as others."""
    for path in paths:
        path.chmod(_FOLDER if path.is_dir() else _FILE)


def write_through(path: Path, content: bytes) -> None:
    """Write a file that nobody reads yet; its content is on the disk when this returns, its name is not."""
    path.write_bytes(content)
    flush(path)


class Replacement:
    """Several files written beside their targets, flushed and verified, then put in place in the order of writing."""

    def __init__(self) -> None:
        """Begin with no file."""
        self._paths: list[Path] = []

    def write(self, path: Path, produce: Callable[[IO[bytes]], object]) -> str:
        """Let `produce` write the new content of a target to the file that it is given; return its SHA-256.

        Raises:
            DeliveryError: it could not be written, or did not read back; all targets are as they were.

        """
        self._paths.append(path)
        with delivering(path):
            return _write_part(path, produce)

    def commit(self) -> None:
        """Put the files in place.

        Raises:
            DeliveryError: a target could not be replaced.

        """
        if not self._paths:
            return
        with delivering(self._paths[0]):
            for path in self._paths:
                part_of(path).replace(path)
            for folder in {path.parent for path in self._paths}:
                flush(folder)

    def __enter__(self) -> Self:
        """Replace within this block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove what was not put in place."""
        remove_parts(self._paths)


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Replace files with these contents, as `Replacement` does.

    Raises:
        DeliveryError: a file could not be written or did not read back; all targets are as they were.

    """
    with Replacement() as replacement:
        for path, content in contents.items():
            replacement.write(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        replacement.commit()


def part_of(path: Path) -> Path:
    """Return where a target's new content lies until it is complete."""
    return path.with_name(f".{path.name}{PART}")


def remove_parts(targets: list[Path]) -> None:
    """Remove new content that was not put in place, now or by a run that was killed."""
    for path in targets:
        part_of(path).unlink(missing_ok=True)


def _write_part(path: Path, produce: Callable[[IO[bytes]], object], mode: int = _ORDINARY) -> str:
    """Write a target's new content beside it, flushed and read back; return its SHA-256."""
    part = part_of(path)
    with _PartFile(part, mode) as file:
        file.take(produce)
        os.fsync(file.descriptor)
    found = sha256_of(part)
    if found != file.sha256.hexdigest():
        raise DeliveryError(f"{part}: did not read back as written. Check the disk; {path.name} is as it was.")
    return found


class _PartFile:
    """A file that is written from its beginning to its end, hashed as it is written."""

    def __init__(self, path: Path, mode: int) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        self.sha256 = hashlib.sha256()
        self._error: OSError | None = None

    def take(self, produce: Callable[[IO[bytes]], object]) -> None:
        try:
            produce(cast("IO[bytes]", self))
        except BaseException as error:
            if self._error is not None and self._error is not error:  # Polars hides why the disk refused
                raise self._error from error
            raise

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            self._error = error
            raise
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

"""Durable files: what is put in place is whole and on the disk, and one process at a time holds a lock."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import DeliveryError

PART = ".part"


class BusyError(DeliveryError):
    """Another process holds the lock."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


flush_folder = flush_file  # a folder is flushed in the same way: its names are then on the disk


def put(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably."""
    part = path.with_name(f".{path.name}{PART}")
    part.write_bytes(content)
    flush_file(part)
    part.replace(path)
    flush_folder(path.parent)


@contextmanager
def delivering(what: Path) -> Iterator[None]:
    """Turn errors of the disk within the block into one that says what could not be written.

    Raises:
        DeliveryError: so.

    """
    try:
        yield
    except OSError as error:
        raise DeliveryError(
            f"{error.filename or what}: the decision log could not be written ({error.strerror}). What was sealed "
            "before is as it was. Check room and permissions."
        ) from error


@contextmanager
def locked(path: Path, who: str) -> Iterator[None]:
    """Hold a lock; the kernel frees it when the process ends, however it ends.

    Raises:
        BusyError: another process holds it; `who` that would be.

    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise BusyError(f"{path.parent}: {who} is at work. Wait for it, or end it.") from error
    try:
        yield
    finally:
        os.close(descriptor)

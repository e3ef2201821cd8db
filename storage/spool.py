"""Rows by key: in memory as long as there is room, then in a temporary file without a name, which no run leaves behind.

Where rows lie never shows: they come back in the order in which they were added.
"""

import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from features.errors import DeliveryError
from storage.frames import packed, unpacked
from storage.room import Room

__all__ = ["Spool", "remove_spools"]

SUFFIX = ".spool"


class Spool:
    """Frames by an integer key, read back in the order in which they were added; those of one key have one schema."""

    def __init__(self, out: Path, empty: pl.DataFrame, room: Room) -> None:
        """Make the file in the folder of the output `out`; `empty` is what a key without rows gives.

        `room` is what the spools of a run share.

        Raises:
            DeliveryError: it cannot be made there.

        """
        self._folder = out.parent
        self._empty, self._room = empty, room
        self._lock = threading.Lock()
        self._segments: dict[int, list[pl.DataFrame | tuple[int, int]]] = defaultdict(list)
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed by __exit__
                buffering=0, prefix=_prefix(out), suffix=SUFFIX, dir=self._folder
            )
        except OSError as error:
            raise self._failed(error) from error

    def add(self, frames: Mapping[int, pl.DataFrame]) -> None:
        """Append a frame to each of these keys. Safe to call from several threads, if each key is one thread's.

        Raises:
            DeliveryError: the disk is full or fails.

        """
        held = {key: frame for key, frame in frames.items() if self._room.take(int(frame.estimated_size()))}
        contents = {key: packed(frame, "lz4") for key, frame in frames.items() if key not in held}
        with self._lock:
            start = self._end
            for key, frame in held.items():
                self._segments[key].append(frame)
            for key, content in contents.items():
                self._segments[key].append((self._end, len(content)))
                self._end += len(content)
        if contents:
            self._write(b"".join(contents.values()), start)

    def _write(self, content: bytes, position: int) -> None:
        rest = memoryview(content)
        try:
            while rest:
                written = os.pwrite(self._file.fileno(), rest, position)
                rest, position = rest[written:], position + written
        except OSError as error:
            raise self._failed(error) from error

    def keys(self) -> list[int]:
        """Return the keys that something was added to, in order."""
        return sorted(self._segments)

    def read(self, key: int) -> pl.DataFrame:
        """Return all rows of a key, none if there are none.

        Raises:
            DeliveryError: the disk fails.

        """
        try:
            frames = [*map(self._frame, self._segments.get(key, ()))]
            return pl.concat(frames) if frames else self._empty
        except OSError as error:
            raise self._failed(error) from error

    def _frame(self, segment: pl.DataFrame | tuple[int, int]) -> pl.DataFrame:
        if isinstance(segment, pl.DataFrame):
            return segment
        start, length = segment
        return unpacked(os.pread(self._file.fileno(), length, start))

    def _failed(self, error: OSError) -> DeliveryError:
        return DeliveryError(
            f"{self._folder}: a temporary file beside the output failed ({error.strerror}). The previous output is as "
            "it was. Check room and permissions, then run again."
        )

    def __enter__(self) -> Self:
        """Keep the file until the block ends."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the room on disk back."""
        self._segments.clear()
        self._file.close()


def remove_spools(out: Path) -> None:
    """Remove what a killed run left on file systems where temporary files have a name for a moment."""
    for path in out.parent.iterdir():
        if path.name.startswith(_prefix(out)) and path.suffix == SUFFIX:
            path.unlink(missing_ok=True)


def _prefix(out: Path) -> str:
    return f".{out.name}."

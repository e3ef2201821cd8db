"""Write files so that a reader sees the old content or the new, never a part: `.part`, fsync, verify, replace."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import polars as pl
from polars.io.plugins import register_io_source

from features.errors import DeliveryError, SettingsError
from scoring.decisions import INSTANT_FORMAT
from scoring.durable import flush_folder

ROW_GROUP_ROWS = 1 << 16


def check_target(path: Path) -> None:
    """Check early that a file can be written here, so that no work is done in vain.

    Raises:
        SettingsError: the name ends neither in .csv nor in .parquet.
        DeliveryError: the folder does not exist or cannot be written to.

    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SettingsError(f"{path}: its name ends in {path.suffix or 'nothing'}, expected .csv or .parquet.")
    check_folder(path)


def refuse_folders(targets: list[Path]) -> None:
    """Refuse targets that are folders.

    Raises:
        DeliveryError: naming the target.

    """
    for target in targets:
        if target.is_dir():
            raise DeliveryError(f"{target}: is a folder. Move it away, or choose another name for the output.")


def check_folder(path: Path) -> None:
    """Check that a file of this name can be written.

    Raises:
        DeliveryError: the folder does not exist or cannot be written to.

    """
    if not path.parent.is_dir():
        raise DeliveryError(f"{path.parent}: no such folder. Create it, or choose another place for the output.")
    refuse_folders([path])
    probe = part_of(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DeliveryError(
            f"{path.parent}: cannot be written to ({error.strerror}). Check its permissions."
        ) from error


def prepare_folder(path: Path) -> None:
    """Make the folder of a file that somebody asked for by name, and check that the file can be written there.

    The cron job's output is not prepared so: a folder that is missing every night is a disk that was not mounted.

    Raises:
        DeliveryError: the folder cannot be made or written to.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeliveryError(
            f"{path.parent}: cannot be made ({error.strerror}). Choose another place for the output."
        ) from error
    check_folder(path)


def refuse_overwriting(source: Path, targets: list[Path]) -> None:
    """Refuse targets that are the input, or lie anywhere below the folder that is.

    Raises:
        SettingsError: naming the target.

    """
    for target in targets:
        place = target.resolve()
        around = place.parents if source.is_dir() else ()  # below a file nothing can lie
        if source.resolve() in (place, *around):
            raise SettingsError(
                f"{target}: is or lies in the input or bundle {source}. Choose another place for the output."
            )


def encode(frame: pl.DataFrame, suffix: str) -> bytes:
    """Write a frame as CSV or Parquet bytes."""
    buffer = io.BytesIO()
    write_frames(buffer, iter([frame]), frame.schema, suffix)
    return buffer.getvalue()


def write_frames(file: IO[bytes], frames: Iterator[pl.DataFrame], schema: pl.Schema, suffix: str) -> None:
    """Write frames as one CSV or Parquet file: floats in their shortest exact form, instants as RFC 3339 in UTC.

    Parquet has row groups of `ROW_GROUP_ROWS`; the bytes do not depend on how the rows are cut into frames.
    """
    if suffix.lower() == ".csv":
        file.write(pl.DataFrame(schema=schema).write_csv().encode())
        for frame in frames:
            file.write(frame.write_csv(include_header=False, datetime_format=INSTANT_FORMAT).encode())
        return
    source = register_io_source(lambda *_: frames, schema=schema)
    source.sink_parquet(file, row_group_size=ROW_GROUP_ROWS, maintain_order=True)


def replace_files(contents: dict[Path, bytes]) -> None:
    """Replace files with these contents, as `Replacement` does.

    Raises:
        DeliveryError: a file could not be written or did not read back; all targets are as they were.

    """
    with Replacement() as replacement:
        for path, content in contents.items():
            replacement.write(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        replacement.commit()


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
        part = part_of(path)
        try:
            with _PartFile(part) as file:
                _produce(file, produce)
                os.fsync(file.descriptor)
            with part.open("rb") as written:
                found = hashlib.file_digest(written, "sha256").hexdigest()
        except OSError as error:
            raise _failed(path, error) from error
        if found != file.sha256.hexdigest():
            raise DeliveryError(
                f"{part}: did not read back as written. Check the disk; the previous output is as it was."
            )
        return found

    def commit(self) -> None:
        """Put the files in place.

        Raises:
            DeliveryError: a target could not be replaced.

        """
        try:
            for path in self._paths:
                part_of(path).replace(path)
            for folder in {path.parent for path in self._paths}:
                flush_folder(folder)
        except OSError as error:
            raise _failed(self._paths[0], error) from error

    def __enter__(self) -> Self:
        """Replace within this block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove what was not put in place."""
        remove_parts(self._paths)


class _PartFile:
    """A file that is written from its beginning to its end, hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            self.error = error
            raise
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def _produce(file: _PartFile, produce: Callable[[IO[bytes]], object]) -> None:
    try:
        produce(cast("IO[bytes]", file))
    except pl.exceptions.PolarsError as error:
        raise file.error or error from error  # Polars hides why the disk refused


def part_of(path: Path) -> Path:
    """Return where a target's new content lies until it is complete."""
    return path.with_name(f".{path.name}.part")


def remove_parts(targets: list[Path]) -> None:
    """Remove new content that was not put in place, now or by a run that was killed."""
    for path in targets:
        part_of(path).unlink(missing_ok=True)


def _failed(path: Path, error: OSError) -> DeliveryError:
    return DeliveryError(
        f"{error.filename or path}: the output could not be written ({error.strerror}). "
        "The previous output is as it was. Check room and permissions, then run again."
    )

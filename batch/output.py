"""Write files so that a reader sees the old content or the new, never a part: `.part`, fsync, verify, replace."""

import io
import os
from pathlib import Path

import polars as pl

from features.errors import DeliveryError, SettingsError
from scoring.bundle import sha256
from scoring.decisions import INSTANT_FORMAT


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
    probe = path.with_name(f".{path.name}.part")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DeliveryError(
            f"{path.parent}: cannot be written to ({error.strerror}). Check its permissions."
        ) from error


def refuse_overwriting(source: Path, targets: list[Path]) -> None:
    """Refuse targets that are the input, or lie in the folder that is.

    Raises:
        SettingsError: naming the target.

    """
    for target in targets:
        place = target.resolve()
        if source.resolve() in (place, place.parent):
            raise SettingsError(
                f"{target}: is or lies in the input or bundle {source}. Choose another place for the output."
            )


def encode(frame: pl.DataFrame, suffix: str) -> bytes:
    """Write a frame as CSV or Parquet bytes: floats in their shortest exact form, instants as RFC 3339 in UTC."""
    buffer = io.BytesIO()
    if suffix.lower() == ".csv":
        frame.write_csv(buffer, datetime_format=INSTANT_FORMAT)
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def replace_files(contents: dict[Path, bytes]) -> None:
    """Write all files beside their targets, flush and verify them, then put them in place in the given order.

    Raises:
        DeliveryError: a file could not be written or did not read back; all targets are as they were.

    """
    parts = {path: path.with_name(f".{path.name}.part") for path in contents}
    try:
        for path, content in contents.items():
            _write(parts[path], content)
        for path, part in parts.items():
            part.replace(path)
        for folder in {path.parent for path in contents}:
            _sync(folder)
    except OSError as error:
        raise DeliveryError(
            f"{error.filename or next(iter(contents))}: the output could not be written ({error.strerror}). "
            "The previous output is as it was. Check room and permissions, then run again."
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _write(part: Path, content: bytes) -> None:
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if sha256(part.read_bytes()) != sha256(content):
        raise DeliveryError(f"{part}: did not read back as written. Check the disk; the previous output is as it was.")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

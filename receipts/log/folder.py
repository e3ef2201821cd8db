"""The folder of a decision log: its mark, its writers, and where their heads are listed.

LOG/log.json                          {"format_version": 1}
LOG/heads/<writer>.json               the last segment of each writer and its hash
LOG/writers/<writer>/00000001/        a segment: manifest.json and the files that it names
LOG/outbox/                           receipts that the REST door has not sealed yet
"""

import json
import re
from functools import partial
from pathlib import Path

from features.errors import InputError, SettingsError
from storage.durable import delivering as delivering_files
from storage.durable import put
from storage.targets import refuse_addresses

FORMAT_VERSION = 1
WITH_KIND = 2  # of segments that hold no decisions, so that a `credit` which does not know them refuses the log
MARK, HEADS, WRITERS, OUTBOX, OUTCOMES = "log.json", "heads", "writers", "outbox", "outcomes"
_WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


delivering = partial(delivering_files, what="the decision log")


def busy(folder: Path, who: str) -> str:
    """Say who else is at work in a folder of the log."""
    return f"{folder}: {who} is at work. Wait for it, or end it."


def create_log(log: Path) -> None:
    """Make the folder a decision log, if it is none yet.

    Raises:
        SettingsError: it is no folder, holds other things, or is a log of a newer release.
        DeliveryError: it cannot be made.

    """
    mark = log / MARK
    if mark.exists():
        try:
            check_log(log)
        except InputError as error:
            raise SettingsError(str(error)) from error
        return
    if log.exists() and not log.is_dir():
        raise SettingsError(f"{log}: is no folder. Expected that of a decision log, or a new name.")
    with delivering(log):
        log.mkdir(parents=True, exist_ok=True)
        strange = sorted(path.name for path in log.iterdir() if not path.name.startswith(".") and path.name != OUTBOX)
        if strange:
            raise SettingsError(
                f"{log}: is no decision log, and not empty (it holds {strange[0]}). Choose an empty or new folder."
            )
        put(mark, json.dumps({"format_version": FORMAT_VERSION}).encode() + b"\n")


def check_log(log: Path) -> None:
    """Check that a folder is a decision log that this release can read.

    Raises:
        InputError: it is not; says what it is.

    """
    refuse_addresses(log)
    if not log.is_dir():
        raise InputError(f"{log}: no such folder. Expected a decision log, as `--log` of the doors makes it.")
    try:
        version = json.loads((log / MARK).read_bytes())["format_version"]
    except FileNotFoundError as error:
        raise InputError(
            f"{log}: is no decision log: {MARK} is missing. Expected a folder that a door wrote with `--log`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{log / MARK}: not readable as the mark of a decision log. Restore it.") from error
    check_version(log / MARK, version)


def check_version(path: Path, version: object, *more: int) -> None:
    """Check a format version; `more` are read besides the first.

    Raises:
        InputError: this release does not read it.

    """
    if version not in (FORMAT_VERSION, *more):
        known = " and ".join(map(str, (FORMAT_VERSION, *more)))
        raise InputError(
            f"{path}: format version {version!r}, this release reads {known}. Use the release that wrote it."
        )


def check_writer(writer: str) -> None:
    """Check the name of a writer.

    Raises:
        SettingsError: not usable as the name of a folder or object.

    """
    if not _WRITER.fullmatch(writer):
        raise SettingsError(
            f"writer {writer!r}: expected up to 100 letters, digits, '.', '_' and '-', with a letter or digit first."
        )

"""Folders that lie in an object store, brought here until the command ends, or for the time of a block."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from features.errors import BundleError, InputError
from storage.durable import sha256_of
from storage.remote.addresses import address_of, spelled
from storage.remote.fetching import Brought, brought

_ID = re.compile(r"[0-9a-f]{64}")
_HELD = ExitStack()


def let_go() -> None:
    """Remove what was brought."""
    _HELD.close()


@contextmanager
def log_here(log: Path) -> Iterator[Brought]:
    """Bring a decision log here, as it is when it is listed, until the command ends.

    Errors within the block name where it lies.

    Raises:
        InputError: nothing is there, it may not be read, or it was written to meanwhile.
        DeliveryError: the store does not answer, or there is no room here.

    """
    here = _HELD.enter_context(brought(log, "decision log"))
    with here.said():
        yield here


def bundle_here(path: Path) -> Path:
    """Return a bundle's folder on this machine.

    An object store has no links: `current` there is an object that holds the bundle's id, or a copy of the folder,
    which then gets its name, the SHA-256 of its manifest, here. Its files are verified as any bundle's.

    Raises:
        BundleError: nothing is there, or it may not be read.
        DeliveryError: the store does not answer.

    """
    if address_of(path) is None:
        return path
    try:
        found = _HELD.enter_context(brought(path, "bundle")).path
    except InputError as error:
        raise BundleError(str(error)) from error
    if found.is_file():
        named = found.read_text(errors="replace").strip()
        if not _ID.fullmatch(named):
            raise BundleError(f"{spelled(path)}: is no bundle. Expected its folder, or an object that holds its id.")
        return bundle_here(path.parent / named)
    if _ID.fullmatch(found.name) or not (found / "manifest.json").is_file():
        return found
    return found.rename(found.with_name(sha256_of(found / "manifest.json")))

"""Write a bundle: all of it under a temporary name, flushed to disk, then one rename to its content address."""

import os
import shutil
import tempfile
from pathlib import Path

from features.errors import DeliveryError
from scoring.bundle.folder import FORMAT_VERSION, MANIFEST, canonical_json, read_bundle, sha256
from scoring.durable import flush_folder


def publish(contents: dict[str, bytes], facts: dict[str, object], bundles: Path) -> Path:
    """Write files and manifest to `bundles/<SHA-256 of the manifest>` and return that folder.

    A bundle that is there already is verified and left as it is: the same content has the same name.

    Raises:
        DeliveryError: the folder could not be written.
        BundleError: a folder of that name is there, but damaged.

    """
    hashes = {name: sha256(content) for name, content in contents.items()}
    manifest = canonical_json({**facts, "format_version": FORMAT_VERSION, "files": hashes})
    folder = bundles / sha256(manifest)
    if folder.exists():
        return read_bundle(folder).path
    try:
        if not bundles.exists():
            bundles.mkdir(parents=True)
            bundles.chmod(_FOLDER)
        _write({**contents, MANIFEST: manifest}, folder)
    except OSError as error:
        raise DeliveryError(
            f"{error.filename or bundles}: the bundle could not be written ({error.strerror}). "
            "Expected a folder with room that may be written to."
        ) from error
    return folder


_FOLDER, _FILE = 0o755, 0o644


def _open_to_doors(part: Path) -> None:
    """Let every user of the machine read a bundle, as doors that run as others must."""
    for path in (part, *part.rglob("*")):
        path.chmod(_FOLDER if path.is_dir() else _FILE)


def _write(contents: dict[str, bytes], folder: Path) -> None:
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        for name, content in contents.items():
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _open_to_doors(part)
        flush_folder(part)
        part.rename(folder)
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)

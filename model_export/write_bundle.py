"""Write a bundle: all of it under a temporary name, flushed to disk, then one rename to its content address."""

from pathlib import Path

from scoring.bundle import FORMAT_VERSION, MANIFEST, canonical_json, read_bundle, sha256
from storage.durable import delivering, put_folder


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
    with delivering(bundles, "the bundle"):
        if not bundles.exists():
            bundles.mkdir(parents=True)
            bundles.chmod(0o755)  # doors run as other users
        put_folder(folder, {**contents, MANIFEST: manifest})
    return folder

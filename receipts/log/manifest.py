"""The manifest of a segment: what was sealed, which the chain hashes and never changes, and which files hold it now."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from features.errors import InputError
from receipts.frame import KIND, SHADOW
from receipts.log.folder import FORMAT_VERSION, WITH_KIND, check_version
from scoring.bundle import canonical_json, sha256
from storage.durable import PART, put

MANIFEST = "manifest.json"
NOTHING_BEFORE = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`sealed`: writer, number, previous (hash of the segment before), rows, rows_hash, bundle_id, door and more.

    `files` are the files of the segment with their SHA-256, by kind: receipts, index and, after removals, removed.
    `removals` say what went, when and why: `{"at", "why", "rows"}`.
    """

    sealed: dict[str, Any]
    revision: int = 0
    files: dict[str, str] = field(default_factory=dict)
    removals: tuple[dict[str, Any], ...] = ()

    @property
    def hash(self) -> str:
        """The link of the chain: SHA-256 of `sealed` as canonical JSON."""
        return sha256(canonical_json(self.sealed))

    def name(self, kind: str) -> str:
        """Return the name of a file of this revision: `receipts.0.parquet`."""
        return f"{kind}.{self.revision}.{_SUFFIX[kind]}"

    def write(self, folder: Path) -> None:
        """Put the manifest into the folder of its segment, atomically and durably."""
        put(folder / MANIFEST, canonical_json(self.document()))

    def document(self) -> dict[str, Any]:
        """Return the manifest as JSON."""
        return {
            "format_version": WITH_KIND if KIND in self.sealed else FORMAT_VERSION,
            "sealed": self.sealed,
            "hash": self.hash,
            "revision": self.revision,
            "files": self.files,
            "removals": list(self.removals),
        }

    def after(self, removal: dict[str, Any]) -> "Manifest":
        """Return the manifest of the next revision, whose files are yet to be named."""
        return replace(self, revision=self.revision + 1, files={}, removals=(*self.removals, removal))


def is_own_file(name: str) -> bool:
    """Tell whether a file is of some revision of a segment, `receipts.1.parquet`, or a manifest on its way."""
    if name == f".{MANIFEST}{PART}":
        return True
    kind, _, rest = name.partition(".")
    revision, _, suffix = rest.partition(".")
    return _SUFFIX.get(kind) == suffix and revision.isdigit()


_SUFFIX = {"receipts": "parquet", "index": "bin", "removed": "bin"}
_SEALED = {
    "writer": str,
    "number": int,
    "previous": str,
    "rows": int,
    "rows_hash": str,
    "bundle_id": str,
    "door": str,
    "first_decided_at": str,
    "last_decided_at": str,
}


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a segment.

    Raises:
        InputError: it is missing, damaged or of another format version; names it.

    """
    path = folder / MANIFEST
    content, document = _document(path)
    check_version(path, document["format_version"], WITH_KIND)
    try:
        manifest = Manifest(
            sealed=_sealed(document["sealed"]),
            revision=int(document["revision"]),
            files={str(kind): str(digest) for kind, digest in document["files"].items() if kind in _SUFFIX},
            removals=tuple(map(dict, document["removals"])),
        )
        if content == canonical_json(manifest.document()):
            return manifest
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not readable as the manifest of a segment; it was changed.") from error
    raise InputError(f"{path}: changed since it was written: its content does not give its hash.")


def _document(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        content = path.read_bytes()
        document = json.loads(content)
        document["format_version"]
    except OSError as error:
        raise InputError(f"{path}: the manifest of this segment cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not readable as the manifest of a segment; it was changed or cut.") from error
    return content, document


def _sealed(values: dict[str, Any]) -> dict[str, Any]:
    for name, kind in _SEALED.items():
        if type(values[name]) is not kind:
            raise TypeError(name)
    if values.get(KIND, SHADOW) != SHADOW:
        raise ValueError(KIND)
    return values

"""Read a bundle: version first, then the set of files and their hashes, then content. Golden rows: `golden`."""

import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from features.errors import BundleError, SpecError
from features.matrix import list_features
from features.spec.contract import Spec
from features.spec.file import parse_spec
from metrics import Evaluation
from scoring.policy import Policy
from scoring.reasons.book import ReasonBook
from scoring.reasons.explainer import Explainer
from scoring.reasons.shap_tables import ShapTables
from storage.targets import refuse_addresses

FORMAT_VERSION = 3
OLDER_FORMATS = (2,)  # read, scored, explained and replayed with the bits they had
MANIFEST = "manifest.json"
MODEL = "model.onnx"
SPEC = "spec.toml"
POLICY = "policy.toml"
GOLDEN = "golden.parquet"
SHAP = "explain/shap.npz"
REASONS = "explain/reasons.json"
REFERENCE = "reference.json"  # read by monitoring alone; bundles that were made before it have none
SIGNATURES = "signatures"  # a folder beside the manifest; what lies in it is no part of what it signs
MOST_BYTES = 1 << 30  # of all files
_MOST_GOLDEN = 100_000  # rows
_SIGNATURE = re.compile(f"{SIGNATURES}/[0-9a-f]{{16}}\\.json")
FILES = (MODEL, SPEC, POLICY, GOLDEN, SHAP, REASONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The verified content of a bundle folder. `model` are the very bytes that were hashed."""

    bundle_id: str
    path: Path
    manifest: dict[str, Any]
    model: bytes
    spec: Spec
    policy: Policy
    explainer: Explainer
    golden: pl.DataFrame
    evaluation: Evaluation


def canonical_json(value: object) -> bytes:
    """Write JSON in the one form that is hashed: sorted keys, two spaces, UTF-8, a final newline."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle folder; a link is resolved once, here.

    Raises:
        BundleError: not a bundle, another format version, or a file that is missing, extra or changed; names the file.

    """
    refuse_addresses(path)
    folder = path.resolve()
    if not folder.is_dir():
        raise BundleError(f"{path}: no such folder. Expected a bundle, as `credit train` prints it on its last line.")
    contents = _read_files(folder)
    manifest = _manifest(folder, contents)
    bundle_id = sha256(contents[MANIFEST])
    if folder.name != bundle_id:
        raise BundleError(
            f"{folder / MANIFEST}: its SHA-256 is {bundle_id}, but the folder bears another name. Either the manifest "
            "was changed or the folder renamed; publish the bundle again under its own name (a link may point to it)."
        )
    _check_files(folder, manifest["files"], contents)
    try:
        spec = parse_spec(contents[SPEC].decode())
        return Bundle(
            bundle_id=bundle_id,
            path=folder,
            manifest=manifest,
            model=contents[MODEL],
            spec=spec,
            policy=Policy.from_toml(contents[POLICY].decode()),
            explainer=_explainer(contents, spec),
            golden=pl.read_parquet(io.BytesIO(contents[GOLDEN]), n_rows=_MOST_GOLDEN),
            evaluation=Evaluation.of_manifest(manifest, str(folder / MANIFEST)),
        )
    except (SpecError, UnicodeDecodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise BundleError(f"{folder}: {error}") from error


def stored_file(bundle: Bundle, name: str) -> bytes:
    """Read a file of a bundle that doors do not need.

    Raises:
        BundleError: it is not there, or changed since the bundle was read.

    """
    path, expected = bundle.path / name, bundle.manifest["files"].get(name)
    if expected is None:
        raise BundleError(f"{bundle.path}: holds no {name}. Train or export it again with this release.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}. The bundle's files must be readable.") from error
    if sha256(content) != expected:
        raise BundleError(f"{path}: changed since the bundle was written. Publish the bundle again.")
    return content


def _explainer(contents: dict[str, bytes], spec: Spec) -> Explainer:
    tables = ShapTables.from_bytes(contents[SHAP], SHAP)
    names = [feature.name for feature in list_features(spec)]
    if (int(tables.shape[0]), tables.classes) != (len(names), len(spec.classes)):
        raise BundleError(f"{SHAP}: made for other features or classes than the spec's. Publish the bundle again.")
    return Explainer(tables, ReasonBook.from_bytes(contents[REASONS], REASONS, names))


def _read_files(folder: Path) -> dict[str, bytes]:
    if not (folder / MANIFEST).exists():  # before any advice to remove files: the folder may hold anything
        raise BundleError(
            f"{folder}: {MANIFEST} is missing, so this is not a bundle. "
            "Expected the folder of one bundle, or a link to it, as `credit train` prints it on its last line."
        )
    found = [p for p in sorted(folder.rglob("*")) if p.is_symlink() or not p.is_dir()]
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path}: is not a plain file. A bundle holds plain files only; remove it.")
    try:
        size = sum(path.stat().st_size for path in found)
        if size > MOST_BYTES:
            raise BundleError(f"{folder}: holds {size:,} bytes, expected at most {MOST_BYTES:,}. This is no bundle.")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    except OSError as error:
        raise BundleError(f"{error.filename}: {error.strerror}. The bundle's files must be readable.") from error


def _manifest(folder: Path, contents: dict[str, bytes]) -> dict[str, Any]:
    if MANIFEST not in contents:
        raise BundleError(f"{folder}: {MANIFEST} is missing, so this is not a bundle.")
    try:
        manifest = json.loads(contents[MANIFEST])
        version, files = manifest["format_version"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{folder / MANIFEST}: not readable as a bundle's manifest. Publish it again.") from error
    if version not in (*OLDER_FORMATS, FORMAT_VERSION):
        raise BundleError(
            f"{folder / MANIFEST}: format version {version!r}, this release reads {OLDER_FORMATS[0]} to "
            f"{FORMAT_VERSION}. Use the release that wrote the bundle, or train and export again."
        )
    return {**manifest, "files": files}


def _check_files(folder: Path, hashes: dict[str, str], contents: dict[str, bytes]) -> None:
    for name in sorted({*hashes, *FILES} - set(contents)):
        raise BundleError(f"{folder / name}: this file of the bundle is missing. Publish the bundle again.")
    for name in sorted(one for one in set(contents) - {*hashes, MANIFEST} if not _SIGNATURE.fullmatch(one)):
        raise BundleError(f"{folder / name}: this file does not belong to the bundle. Remove it.")
    for name, expected in sorted(hashes.items()):
        if sha256(contents[name]) != expected:
            raise BundleError(f"{folder / name}: changed since the bundle was written. Publish the bundle again.")

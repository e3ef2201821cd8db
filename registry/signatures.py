"""Signatures over a bundle. They lie beside its manifest, so that the bundle's id stays what it was.

What is signed is an in-toto statement in the form of OpenSSF's model signing (predicate version 1.0), with each file
and its SHA-256. That project signs with other kinds of keys, so its own tool does not verify these signatures.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import BundleError, SettingsError
from registry.envelope import Envelope, NotTrustedError
from registry.trust import Trust
from scoring.bundle import MANIFEST, SIGNATURES, Bundle, read_bundle
from scoring.scorer import Scorer
from storage.durable import delivering, open_to_readers, put

if TYPE_CHECKING:
    from registry.keys import Key

_KIND = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"


@dataclass(frozen=True, slots=True)
class Signed:
    """Whose signature counts: the key, its owner, when they signed, and until when it holds; None: as their key."""

    key: str
    name: str
    at: str
    expires: date | None


def sign_bundle(folder: Path, key: "Key", now: datetime, expires: date | None = None) -> Path:
    """Verify a bundle and write `signatures/KEY.json` into it; a signature of the same key is replaced.

    Raises:
        BundleError: it does not verify.
        SettingsError: the signature would have expired.
        DeliveryError: the file cannot be written.

    """
    bundle = Scorer.open(folder).bundle
    if expires is not None and expires < now.date():
        raise SettingsError(f"--expires: {expires} has passed. Expected a day from {now.date()} on.")
    statement = _statement(bundle, now, expires)
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    path = bundle.path / SIGNATURES / f"{key.id}.json"
    with delivering(path, "the signature"):
        path.parent.mkdir(exist_ok=True)
        put(path, Envelope.of(_KIND, payload, key).written())
        open_to_readers(path.parent, path)
    return path


def signers(bundle: Bundle, trust: Trust, now: datetime) -> list[Signed]:
    """Return whose signatures over a bundle count now, at least one.

    Raises:
        BundleError: none does; says why each does not.

    """
    if bundle.bundle_id in trust.revoked_bundles:
        raise BundleError(f"{bundle.path}: {trust.where} revokes this bundle. Serve another one.")
    counted, reasons = [], []
    for path in sorted((bundle.path / SIGNATURES).glob("*")):
        try:
            counted.append(_judged(bundle, path, trust, now))
        except NotTrustedError as error:
            reasons.append(f"{path.name}: {error}")
    if not counted:
        why = "; ".join(reasons) or "it is not signed"
        raise BundleError(
            f"{bundle.path}: no trusted key signed this bundle ({why}). Have its owner sign it (`credit bundle "
            f"sign`), or trust the owner's key in {trust.where}, if you do."
        )
    return counted


def open_trusted(path: Path, trust: Path | None, now: datetime, threads: int = 1) -> Scorer:
    """Read, verify and load a bundle; with `trust`, where keys lie, only if one of them signed it.

    Raises:
        BundleError: it does not verify, or no signature counts.
        SettingsError: the keys cannot be read.

    """
    bundle = read_bundle(path)
    if trust is not None:
        signers(bundle, Trust.read(trust), now)
    return Scorer(bundle, threads)


def _judged(bundle: Bundle, path: Path, trust: Trust, now: datetime) -> Signed:
    try:
        envelope = Envelope.read(path.read_bytes())
    except OSError as error:
        raise NotTrustedError(f"cannot be read ({error.strerror})") from error
    key = trust.signer(envelope, _KIND, now)
    try:  # what follows was written by a trusted key, but perhaps by another release, or about another bundle
        statement = json.loads(envelope.payload)
        at, until = str(statement["predicate"]["signed_at"]), statement["predicate"]["expires"]
        expires = None if until is None else date.fromisoformat(until)
        same = statement == _statement(bundle, datetime.fromisoformat(at), expires)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotTrustedError("holds no statement about a bundle") from error
    if not same:
        raise NotTrustedError(f"{key.name} signed another bundle with it")
    if expires is not None and now.astimezone(UTC).date() > expires:
        raise NotTrustedError(f"the signature of {key.name} expired on {expires}")
    return Signed(key.id, key.name, at, expires)


def _statement(bundle: Bundle, at: datetime, expires: date | None) -> dict[str, Any]:
    hashes = {**bundle.manifest["files"], MANIFEST: bundle.bundle_id}
    whole = hashlib.sha256(b"".join(bytes.fromhex(hashes[name]) for name in sorted(hashes))).hexdigest()
    return {
        "_type": _STATEMENT,
        "subject": [{"name": bundle.bundle_id, "digest": {"sha256": whole}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "ignore_paths": [SIGNATURES]},
            "resources": [{"name": name, "algorithm": "sha256", "digest": hashes[name]} for name in sorted(hashes)],
            "signed_at": at.astimezone(UTC).isoformat(timespec="seconds"),
            "expires": None if expires is None else expires.isoformat(),
        },
    }

"""Ed25519 signatures in DSSE envelopes: what was signed, what kind of thing it is, and by which keys.

Source of the form: Dead Simple Signing Envelope, protocol version 1 (secure-systems-lab/dsse).
"""

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from features.errors import DeliveryError, SettingsError

_MOST_BYTES = 1 << 20  # of an envelope; a bundle's takes some 2 kB
_KEY_ID_DIGITS = 16


class NotTrustedError(ValueError):
    """A signature does not count. The message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key that was read, and the id by which others know its public half."""

    private: Ed25519PrivateKey
    id: str

    def sign(self, kind: str, payload: bytes) -> bytes:
        """Return the 64 bytes of the signature over a payload and its kind."""
        return self.private.sign(_signed_bytes(kind, payload))


@dataclass(frozen=True, slots=True)
class Envelope:
    """`signatures`: of each key id the bytes that it left; nothing here is verified."""

    kind: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, kind: str, payload: bytes, key: Key) -> "Envelope":
        """Sign a payload."""
        return cls(kind, payload, ((key.id, key.sign(kind, payload)),))

    def written(self) -> bytes:
        """Return the envelope as JSON."""
        signatures = [{"keyid": name, "sig": _text(signature)} for name, signature in self.signatures]
        document = {"payload": _text(self.payload), "payloadType": self.kind, "signatures": signatures}
        return json.dumps(document, indent=2).encode() + b"\n"

    @classmethod
    def read(cls, content: bytes) -> "Envelope":
        """Read an envelope.

        Raises:
            NotTrustedError: the content is none.

        """
        if len(content) > _MOST_BYTES:
            raise NotTrustedError(f"holds {len(content):,} bytes, expected at most {_MOST_BYTES:,}")
        try:
            document = json.loads(content)
            signatures = tuple((str(one["keyid"]), _bytes(one["sig"])) for one in document["signatures"])
            return cls(str(document["payloadType"]), _bytes(document["payload"]), signatures)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise NotTrustedError("is no DSSE envelope") from error


def verified(public: bytes, signature: bytes, kind: str, payload: bytes) -> bool:
    """Say whether the key with these 32 bytes made the signature over this payload, as this kind of thing."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed_bytes(kind, payload))
    except InvalidSignature:
        return False
    return True


def key_id(public: bytes) -> str:
    """Return the id of a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:_KEY_ID_DIGITS]


def make_key(out: Path, name: str) -> str:
    """Write `OUT.pem`, the private key that only its owner may read, and `OUT.toml`, which trusts it; return its id.

    Raises:
        SettingsError: one of the two files is there already.
        DeliveryError: they cannot be written.

    """
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = _public(private)
    entry = f"[keys.{key_id(public)}]\nname = {json.dumps(name)}\npublic = {json.dumps(_text(public))}\n"
    for suffix, content, mode in ((".pem", secret, 0o600), (".toml", entry.encode(), 0o644)):
        path = out.with_name(out.name + suffix)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
        except FileExistsError as error:
            raise SettingsError(f"{path}: is there already. Choose another name: keys are never replaced.") from error
        except OSError as error:
            raise DeliveryError(f"{path}: cannot be written ({error.strerror}).") from error
    return key_id(public)


def read_key(path: Path) -> Key:
    """Read a private key.

    Raises:
        SettingsError: it cannot be read, or is no Ed25519 key in PEM form without a passphrase.

    """
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}). `credit bundle keygen` makes a key."
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{path}: is no private key in PEM form without a passphrase.") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"{path}: is a key of another kind. Expected Ed25519, as `credit bundle keygen` makes it.")
    return Key(private, key_id(_public(private)))


def decoded(text: Any) -> bytes:
    """Return the bytes that a text in base64 stands for.

    Raises:
        ValueError: it is none.

    """
    return _bytes(text)


def _public(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _signed_bytes(kind: str, payload: bytes) -> bytes:
    """The "pre-authentication encoding": lengths first, so that no payload passes for another kind of thing."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error

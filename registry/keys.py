"""Private keys, and whose signature is whose: Ed25519. The only user of `cryptography` (extra `sign`)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from features.errors import DeliveryError, SettingsError
from registry.envelope import as_text, key_id, signed_bytes

__all__ = ["Key", "make_key", "read_key"]


@dataclass(frozen=True, slots=True)
class Key:
    """A private key that was read, and the id by which others know its public half."""

    private: Ed25519PrivateKey
    id: str

    def sign(self, kind: str, payload: bytes) -> bytes:
        """Return the 64 bytes of the signature over a payload and its kind."""
        return self.private.sign(signed_bytes(kind, payload))


def verified(public: bytes, signature: bytes, kind: str, payload: bytes) -> bool:
    """Say whether the key with these 32 bytes made the signature over this payload, as this kind of thing."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed_bytes(kind, payload))
    except InvalidSignature:
        return False
    return True


def make_key(out: Path, name: str) -> str:
    """Write `OUT.pem`, the private key that only its owner may read, and `OUT.toml`, which trusts it; return its id.

    Raises:
        SettingsError: the name cannot be written, or one of the two files is there already.
        DeliveryError: they cannot be written.

    """
    if not name.isprintable():  # also what the terminal could not decode
        raise SettingsError(f"--name {name!r}: expected a name of characters that can be printed.")
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = _public(private)
    owner, text = json.dumps(name, ensure_ascii=False), json.dumps(as_text(public))  # TOML knows no surrogates
    entry = f"[keys.{key_id(public)}]\nname = {owner}\npublic = {text}\n"
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
        raise SettingsError(
            f"{path}: is no private key in PEM form without a passphrase. Give the .pem of `credit bundle keygen`."
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"{path}: is a key of another kind. Expected Ed25519, as `credit bundle keygen` makes it.")
    return Key(private, key_id(_public(private)))


def _public(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

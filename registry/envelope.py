"""Signatures in DSSE envelopes: what was signed, what kind of thing it is, and by which keys.

Source of the form: Dead Simple Signing Envelope, protocol version 1 (secure-systems-lab/dsse).
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.keys import Key

_MOST_BYTES = 1 << 20  # of an envelope; a bundle's takes some 2 kB
_KEY_ID_DIGITS = 16


class NotTrustedError(ValueError):
    """A signature does not count. The message says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """`signatures`: of each key id the bytes that it left; nothing here is verified."""

    kind: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, kind: str, payload: bytes, key: "Key") -> "Envelope":
        """Sign a payload."""
        return cls(kind, payload, ((key.id, key.sign(kind, payload)),))

    def written(self) -> bytes:
        """Return the envelope as JSON."""
        signatures = [{"keyid": name, "sig": as_text(signature)} for name, signature in self.signatures]
        document = {"payload": as_text(self.payload), "payloadType": self.kind, "signatures": signatures}
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


def key_id(public: bytes) -> str:
    """Return the id of a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:_KEY_ID_DIGITS]


def decoded(text: Any) -> bytes:
    """Return the bytes that a text in base64 stands for.

    Raises:
        ValueError: it is none.

    """
    return _bytes(text)


def signed_bytes(kind: str, payload: bytes) -> bytes:
    """The "pre-authentication encoding": lengths first, so that no payload passes for another kind of thing."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def as_text(content: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(content).decode()


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error

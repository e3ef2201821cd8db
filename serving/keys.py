"""API keys: 256 random bits each, stored as SHA-256 in a file, compared in constant time, revoked without a restart.

A key reads `ck_<id>_<secret>`. The id is no secret: it names the key in the file and in logs. A slow hash protects
passwords that people choose; it would add nothing to 256 random bits.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from features.errors import SettingsError
from storage.durable import delivering, put
from storage.locks import Lock

__all__ = ["KeyFile"]

_KEY = re.compile(r"ck_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOBODY = "0" * 64
_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is stored. `created` and `revoked` are instants as text; `revoked` is empty while the key holds."""

    id: str
    name: str
    sha256: str
    created: str
    revoked: str = ""


class KeyFile:
    """A file of keys. Each change replaces the file; each look reads it again if it was replaced."""

    def __init__(self, path: Path) -> None:
        """Take the path; nothing is read yet."""
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def find(self, presented: str) -> Key | None:
        """Return the key that was presented, or None where it is unknown or revoked.

        Raises:
            SettingsError: the file cannot be read.

        """
        self._refresh()
        match = _KEY.fullmatch(presented)
        key = self._keys.get(match[1]) if match else None
        known = hmac.compare_digest(_hash(presented), key.sha256 if key else _NOBODY)
        return key if key and known and not key.revoked else None

    def entries(self) -> list[Key]:
        """Return all keys in order of creation, revoked ones too.

        Raises:
            SettingsError: the file cannot be read.

        """
        self._refresh()
        return list(self._keys.values())

    def new(self, name: str, created: str) -> str:
        """Add a key and return it; it is shown this once and stored nowhere.

        Raises:
            SettingsError: the file cannot be read.
            DeliveryError: the file cannot be written.

        """
        key_id = secrets.token_hex(4)
        text = f"ck_{key_id}_{secrets.token_urlsafe(32)}"
        with self._changing():
            keys = self.entries() if self.path.exists() else []
            self._write([*keys, Key(key_id, name, _hash(text), created)])
        return text

    def revoke(self, key_id: str, revoked: str) -> Key:
        """Revoke a key by its id; every process that reads the file refuses it from its next request on.

        Raises:
            SettingsError: the file cannot be read, or there is no such key.
            DeliveryError: the file cannot be written.

        """
        with self._changing():
            keys = {key.id: key for key in self.entries()}
            if key_id not in keys:
                raise SettingsError(f"{self.path}: no key has this id. `credit key list` shows them.")
            keys[key_id] = replace(keys[key_id], revoked=keys[key_id].revoked or revoked)
            self._write(list(keys.values()))
        return keys[key_id]

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
            now = (found.st_mtime_ns, found.st_size, found.st_ino)
            if now != self._seen:
                self._keys, self._seen = _parse(self.path.read_bytes()), now
        except OSError as error:
            raise SettingsError(
                f"{self.path}: cannot be read ({error.strerror}). Make it with `credit key new --name NAME`."
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SettingsError(f"{self.path}: is not a file of keys. `credit key new` writes one.") from error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process change the file at a time, so that no key is lost."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        with delivering(self.path, "the file of keys"), Lock(lock, wait=True):
            yield

    def _write(self, keys: list[Key]) -> None:
        content = json.dumps({"version": 1, "keys": [asdict(key) for key in keys]}, indent=2)
        put(self.path, f"{content}\n".encode(), _OWNER_ONLY)


def _parse(content: bytes) -> dict[str, Key]:
    document = json.loads(content)
    if document["version"] != 1:
        raise ValueError
    keys = [Key(**{name: str(value) for name, value in dict(entry).items()}) for entry in document["keys"]]
    if not all(_SHA256.fullmatch(key.sha256) for key in keys):  # what is not ASCII cannot be compared
        raise ValueError
    return {key.id: key for key in keys}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

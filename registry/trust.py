"""Which keys are trusted: a file, or a folder of files, that the owner of a door keeps beside its settings."""

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from features.errors import SettingsError
from registry.envelope import Envelope, NotTrustedError, decoded, key_id

_FORM = (
    "Expected [keys.ID] with name and public, and what else docs/registry.md lists; `credit bundle keygen` writes one."
)
_PUBLIC_BYTES = 32
_KNOWN = {"name", "public", "not_before", "not_after", "revoked"}
_is_bundle_id = re.compile("[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and whose it is. It signs from `not_before` to the end of `not_after`, in UTC; None: no bound."""

    id: str
    name: str
    public: bytes
    not_before: date | None = None
    not_after: date | None = None
    revoked: bool = False

    def refusal(self, now: datetime) -> str | None:
        """Say why a signature of this key does not count now; None where it does."""
        if self.revoked:
            return f"key {self.id} ({self.name}) is revoked"
        if self.not_before and now < datetime.combine(self.not_before, time(), UTC):
            return f"key {self.id} ({self.name}) holds from {self.not_before} only"
        if self.not_after and now.astimezone(UTC).date() > self.not_after:
            return f"key {self.id} ({self.name}) expired on {self.not_after}"
        return None


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys by id, and bundles that must not serve any more, whoever signed them."""

    where: Path
    keys: dict[str, TrustedKey]
    revoked_bundles: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> "Trust":
        """Read a file, or all files `*.toml` of a folder.

        Raises:
            SettingsError: it cannot be read, holds no key, one twice, or something else than keys.

        """
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        keys: dict[str, TrustedKey] = {}
        revoked: set[str] = set()
        for file in files:
            document = _document(file)
            for name, entry in document.get("keys", {}).items():
                if name in keys:
                    raise SettingsError(f"{file}: keys.{name} stands in another file, too. Keep one of them.")
                keys[name] = _key(file, name, entry)
            revoked |= set(document.get("revoked_bundles", []))
        if not keys:
            raise SettingsError(f"{path}: trusts no key. {_FORM}")
        return cls(path, keys, frozenset(revoked))

    def signer(self, envelope: Envelope, kind: str, now: datetime) -> TrustedKey:
        """Return the first trusted key that signed an envelope of this kind and holds now.

        Raises:
            NotTrustedError: there is none; says why.

        """
        from registry.keys import verified  # noqa: PLC0415 - needs the extra `sign`

        if envelope.kind != kind:
            raise NotTrustedError("it was signed as something else")
        reason = "nobody signed it"
        for name, signature in envelope.signatures:
            key = self.keys.get(name)
            if key is None:
                reason = f"{self.where} does not trust key {name[:16]!r}"
            elif not verified(key.public, signature, kind, envelope.payload):
                reason = f"the signature is not that of key {key.id} ({key.name})"
            elif (refusal := key.refusal(now)) is not None:
                reason = refusal
            else:
                return key
        raise NotTrustedError(reason)


def _document(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}). {_FORM}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: is not TOML. {_FORM}") from error
    keys, bundles = document.get("keys", {}), document.get("revoked_bundles", [])
    fits = isinstance(keys, dict) and isinstance(bundles, list) and all(isinstance(one, str) for one in bundles)
    if not fits or document.keys() - {"keys", "revoked_bundles"}:
        raise SettingsError(f"{file}: holds something else than keys and revoked_bundles. {_FORM}")
    if short := [one for one in bundles if not _is_bundle_id(one)]:  # it would revoke nothing
        raise SettingsError(f"{file}: revoked_bundles: {short[0]!r} is no id. Expected all of its 64 digits.")
    return document


def _key(file: Path, name: str, entry: Any) -> TrustedKey:
    place = f"{file}: keys.{name}"
    try:
        public = decoded(entry["public"])
        owner = entry["name"]
    except (KeyError, ValueError, TypeError) as error:
        raise SettingsError(f"{place}: has no name, or no public key in base64. {_FORM}") from error
    if unknown := sorted(entry.keys() - _KNOWN):  # a misspelt `revoked` would trust what its owner took back
        raise SettingsError(f"{place}: {unknown[0]} is unknown. {_FORM}")
    if not isinstance(owner, str) or len(public) != _PUBLIC_BYTES or key_id(public) != name:
        raise SettingsError(f"{place}: name, id and public key do not belong together. {_FORM}")
    days = {one: _day(place, one, entry.get(one)) for one in ("not_before", "not_after")}
    if not isinstance(entry.get("revoked", False), bool):
        raise SettingsError(f"{place}.revoked: expected true or false.")
    return TrustedKey(name, owner, public, **days, revoked=entry.get("revoked", False))


def _day(place: str, name: str, value: Any) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise SettingsError(f"{place}.{name}: expected a day as TOML writes it, 2027-12-31, without quotes.")

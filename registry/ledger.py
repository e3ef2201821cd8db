"""The registry's ledger: who proposed, approved and put back which bundle, when and why; one line each, chained.

`registry.jsonl` lies in the folder of bundles. Each line holds its own SHA-256 and that of the line before, so that one
that is changed, taken out or put in shows; signatures, where the registry asks for them, show also a file that was
written anew.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import SettingsError
from registry.envelope import Envelope
from registry.trust import Trust
from storage.durable import delivering, open_to_readers, put
from storage.locks import Lock

if TYPE_CHECKING:
    from registry.keys import Key

LEDGER = "registry.jsonl"
_KIND = "application/vnd.credit.registry.v1+json"
_START = "0" * 64


class Action(StrEnum):
    """What an entry did."""

    INIT = "init"
    PROPOSE = "propose"
    APPROVE = "approve"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line. `link`: the name under which a bundle serves; `four_eyes` and `signed` are settings of the first."""

    number: int
    action: Action
    at: str
    by: str
    note: str
    bundle: str = ""
    link: str = ""
    four_eyes: bool = False
    signed: bool = False
    previous: str = _START
    key: str = ""
    signature: str = ""
    digest: str = ""

    @classmethod
    def new(cls, action: Action, by: str, note: str, **rest: Any) -> "Entry":
        """Make an entry that `Ledger.append` completes."""
        return cls(number=0, action=action, at="", by=by, note=note, **rest)

    def sealed(self) -> "Entry":
        """Return the entry with its digest: the SHA-256 of its line without it. The next line states it, too."""
        return replace(self, digest=hashlib.sha256(_line(replace(self, digest=""))).hexdigest())

    def payload(self) -> bytes:
        """Return what a signature covers: all but itself and the digest."""
        return _line(replace(self, signature="", digest=""))

    def line(self) -> bytes:
        """Return the line without its end."""
        return _line(self)


class Ledger:
    """The ledger of a folder of bundles. A change takes a lock, reads all, checks all, and replaces the file."""

    def __init__(self, bundles: Path) -> None:
        """Take the folder; nothing is read yet."""
        self.bundles, self.path = bundles, bundles / LEDGER

    @property
    def exists(self) -> bool:
        """Whether the folder has a registry."""
        return self.path.exists()

    def entries(self, trust: Trust | None = None) -> list[Entry]:
        """Read and check all lines; with `trust` each must be signed by a key that was trusted at that time.

        Raises:
            SettingsError: there is no ledger, or a line does not fit; names the first one and why.

        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"{self.path}: cannot be read ({error.strerror}). `credit registry init` begins a registry."
            ) from error
        if not content.endswith(b"\n"):
            raise SettingsError(f"{self.path}: ends within a line. Put back the copy of the last backup.")
        entries: list[Entry] = []
        before = _START
        for number, line in enumerate(content[:-1].split(b"\n"), 1):
            try:
                entry = _parse(line)
                _check(entry, entries, before)
                if trust is not None:
                    _check_signature(entry, trust)
            except ValueError as error:
                raise SettingsError(
                    f"{self.path}, line {number}: {error or 'is no entry of a registry'}. Nobody but `credit registry` "
                    "writes this file; put back the copy of the last backup, and find out who changed it."
                ) from error
            entries.append(entry)
            before = entry.digest
        return entries

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let one process at a time read, decide and append.

        Raises:
            DeliveryError: the folder cannot be written to.

        """
        with delivering(self.path, "the registry"), Lock(self.bundles / f".{LEDGER}.lock", wait=True):
            yield

    def append(self, entry: Entry, now: datetime, key: "Key | None" = None, trust: Trust | None = None) -> Entry:
        """Complete an entry with number, time, chain and signature, check it against those before, and write it.

        With `trust` it is checked as all are that stand there: no line is written that the next command would refuse.

        Raises:
            SettingsError: it does not fit, a registry that wants signatures gets none, or no trusted key signs it.
            DeliveryError: the file cannot be written.

        """
        entries = [] if entry.action is Action.INIT and not self.exists else self.entries(trust)
        before = entries[-1].digest if entries else _START
        at = now.astimezone(UTC).isoformat(timespec="seconds")
        made = replace(entry, number=len(entries) + 1, at=at, previous=before, key=key.id if key else "")
        if key is not None:
            envelope = Envelope.of(_KIND, made.payload(), key)
            made = replace(made, signature=envelope.signatures[0][1].hex())
        made = made.sealed()
        try:
            _check(made, entries, before)
            if trust is not None:
                _check_signature(made, trust)
        except ValueError as error:
            raise SettingsError(f"{self.path}: nothing was written: {error}.") from error
        with delivering(self.path, "the registry"):
            put(self.path, b"".join(one.line() + b"\n" for one in (*entries, made)))
            open_to_readers(self.path)
        return made


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _parse(line: bytes) -> Entry:
    kinds = {field.name: type(getattr(_EXAMPLE, field.name)) for field in fields(Entry)}
    try:
        found = json.loads(line)
        entry = Entry(**{**found, "action": Action(found["action"])})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError from error
    typed = all(type(getattr(entry, name)) is kind for name, kind in kinds.items())
    if not typed or entry.line() != line:  # one form of each entry, so that its hash means something
        raise ValueError
    return entry


def _check(entry: Entry, before: list[Entry], chain: str) -> None:
    """Say by a ValueError what of an entry does not follow from those before it."""
    if entry.digest != entry.sealed().digest:
        raise ValueError("was changed after it was written")
    if entry.number != len(before) + 1 or entry.previous != chain:
        raise ValueError("does not follow from the line before it: a line was changed, taken out or put in")
    if (entry.action is Action.INIT) != (not before):
        raise ValueError("a registry begins with `init`, once")
    settings = before[0] if before else entry
    if settings.signed and not entry.signature:
        raise ValueError("this registry wants each entry signed; give --key")
    if not entry.by.strip():
        raise ValueError("says not who did it; give --by")
    if before and entry.at < before[-1].at:
        raise ValueError("is older than the line before it; check the clock of this machine")
    if entry.action in {Action.APPROVE, Action.ROLLBACK}:
        _check_standing(entry, before, four_eyes=settings.four_eyes)


def _check_standing(entry: Entry, before: list[Entry], *, four_eyes: bool) -> None:
    if entry.action is Action.ROLLBACK:
        if not any(one.action is Action.APPROVE and (one.bundle, one.link) == _served(entry) for one in before):
            raise ValueError(f"bundle {entry.bundle[:12]} was never approved as {entry.link}")
        return
    proposals = [one for one in before if one.action is Action.PROPOSE and one.bundle == entry.bundle]
    if not proposals:
        raise ValueError(f"nobody proposed bundle {entry.bundle[:12]}; `credit registry propose` comes first")
    if four_eyes and all(_same_person(one, entry) for one in proposals):
        raise ValueError(f"{entry.by} proposed this bundle, and this registry wants four eyes: another person approves")


def _served(entry: Entry) -> tuple[str, str]:
    return entry.bundle, entry.link


def _same_person(one: Entry, other: Entry) -> bool:
    names = {" ".join(entry.by.casefold().split()) for entry in (one, other)}
    return len(names) == 1 or (bool(one.key) and one.key == other.key)


def _check_signature(entry: Entry, trust: Trust) -> None:
    if not entry.signature:
        raise ValueError("is not signed")
    try:
        signature = bytes.fromhex(entry.signature)
        at = datetime.fromisoformat(entry.at)
    except ValueError as error:
        raise ValueError from error
    envelope = Envelope(_KIND, entry.payload(), ((entry.key, signature),))
    key = trust.signer(envelope, _KIND, at)
    if key.name != entry.by:
        raise ValueError(f"says {entry.by!r}, but the key that signed it is that of {key.name!r}")


_EXAMPLE = Entry(number=1, action=Action.INIT, at="", by="", note="")

"""The history store as its users see it; the engines are `lmdb_store` and `postgres_store`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from features.errors import DeliveryError, SettingsError
from features.spec.contract import MICROSECONDS_PER_DAY, Spec
from features.spec.file import parse_spec
from history.records import Change, Customer, Snapshot, State

FORMAT_VERSION = 1
SLACK_DAYS = 35
MOST_KINDS = 10_000


class StaleError(DeliveryError):
    """Somebody else has written since: the positions are no longer those that the change began from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """How the events of a store were read, and how long it keeps them. Made from a spec, and held against bundles'."""

    name: str
    minor_digits: int
    currency: str
    decimal: str
    version: int
    occurred_at: str
    recorded_at: str
    utc_offset_minutes: int
    retention_days: int
    salt: str
    spec_text: str
    format_version: int = FORMAT_VERSION

    @classmethod
    def of(cls, spec: Spec, salt: str) -> "StoreSettings":
        """Take what matters from a spec. `salt`: random hex digits, by which names of erased customers are hashed."""
        return cls(
            name=spec.name,
            minor_digits=spec.currency.minor_digits,
            currency=spec.currency.code,
            decimal=spec.decimal,
            version=spec.version,
            occurred_at=spec.instants.occurred_at,
            recorded_at=spec.instants.recorded_at,
            utc_offset_minutes=spec.instants.utc_offset_minutes,
            retention_days=longest_window(spec) + SLACK_DAYS,
            salt=salt,
            spec_text=spec.text,
        )

    @classmethod
    def read(cls, document: dict[str, Any], where: str) -> "StoreSettings":
        """Read what a store says of itself.

        Raises:
            SettingsError: a newer release wrote it.

        """
        if document.get("format_version") != FORMAT_VERSION:
            raise SettingsError(
                f"{where}: a history store of format {document.get('format_version')}, this release reads "
                f"{FORMAT_VERSION}. Use the release that made it."
            )
        return cls(**document)

    @property
    def spec(self) -> Spec:
        """The spec by which events are read."""
        return parse_spec(self.spec_text)

    def document(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return asdict(self)

    def check(self, spec: Spec, where: str) -> None:
        """Check that events which were read by these settings mean the same to a spec.

        Raises:
            SettingsError: they do not; names what differs.

        """
        theirs = StoreSettings.of(spec, self.salt)
        same = ("name", "currency", "minor_digits", "decimal", "version", "occurred_at", "recorded_at")
        for name in (*same, "utc_offset_minutes"):
            mine, other = getattr(self, name), getattr(theirs, name)
            if mine != other:
                raise SettingsError(
                    f"{where}: was made for another spec: {name} is {mine!r} there, {other!r} in the bundle. Make a "
                    "store with `credit history init` for this spec, and fill it anew."
                )
        if theirs.retention_days > self.retention_days:
            raise SettingsError(
                f"{where}: keeps events for {self.retention_days} days, the bundle's longest window and {SLACK_DAYS} "
                f"days more are {theirs.retention_days}. Make a store with `credit history init` for this spec."
            )


def longest_window(spec: Spec) -> int:
    """Return the days of the longest window, 0 where there is none."""
    return max((day for group in spec.groups for day in group.windows_days), default=0)


def window_microseconds(spec: Spec) -> int:
    """Return the longest window in microseconds."""
    return longest_window(spec) * MICROSECONDS_PER_DAY


class HistoryStore(Protocol):
    """Each customer's events. One process may write, any number may read at the same time."""

    where: str
    settings: StoreSettings

    def state(self) -> State:
        """Return what the store knows of itself.

        Raises:
            DeliveryError: it cannot be read.

        """

    def read(self, customers: Sequence[str]) -> Snapshot:
        """Return what is there of these customers, and the state, as of one instant.

        Raises:
            DeliveryError: the store cannot be read.

        """

    def apply(self, change: Change) -> None:
        """Write events, unusable ones and the new positions, all or nothing.

        Raises:
            StaleError: the positions are not those that the change began from; nothing was written.
            DeliveryError: it could not be written; nothing was.

        """

    def beat(self, heartbeat: float, ends: dict[str, int]) -> None:
        """Note that whoever fills the store is alive.

        Raises:
            DeliveryError: it could not be written.

        """

    def everybody(self, after: str = "") -> Iterator[tuple[str, Customer]]:
        """Yield customers in the order of their ids, those behind `after`.

        Raises:
            DeliveryError: the store cannot be read.

        """

    def expire(self, before: int) -> int:
        """Remove events that occurred before an instant (microseconds); return how many.

        Raises:
            DeliveryError: it could not be written.

        """

    def copy(self, target: Path) -> None:
        """Write a compacted copy, consistent with its positions, into a new folder.

        Raises:
            SettingsError: the engine leaves that to its own tools.
            DeliveryError: it could not be written.

        """

    def close(self) -> None:
        """Give everything back."""

"""Where tasks write what they decided, which nobody reads before the run is published: a folder, or an object store."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from features.errors import DeliveryError
from storage.durable import Replacement
from storage.remote.addresses import Address

Produce = Callable[[IO[bytes]], object]


def room_of_executor() -> Path | None:
    """Return the folder in which Spark lays what this executor needs for itself, and which goes with it."""
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0]
    return Path(folder) if folder else None


@dataclass(frozen=True, slots=True)
class FolderStage:
    """A folder that all machines see under this path."""

    path: Path

    def write(self, name: str, produce: Produce) -> tuple[str, int]:
        """Write a file, whole or not at all; return its SHA-256 and size.

        Raises:
            DeliveryError: it could not be written.

        """
        with Replacement() as replacement:
            digest = replacement.write(self.path / name, produce)
            replacement.commit()
        return digest, (self.path / name).stat().st_size

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self.path / name).read_bytes()


@dataclass(frozen=True, slots=True)
class StoreStage:
    """Objects whose names begin with `below`, by the rights that each machine has of its own."""

    address: Address
    below: str

    def write(self, name: str, produce: Produce) -> tuple[str, int]:
        """Put an object, whole or not at all; return its SHA-256 and size.

        Raises:
            DeliveryError: the store does not answer, does not permit it, or there is no room here.

        """
        from storage.remote.objects import Store  # noqa: PLC0415 - loads the extra `cloud`

        with tempfile.TemporaryDirectory(prefix="credit-part-", dir=room_of_executor()) as folder:
            here = FolderStage(Path(folder))
            written = here.write(name, produce)
            Store(self.address, DeliveryError).put(f"{self.below}/{name}", here.path / name)
        return written

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        from storage.remote.objects import Store  # noqa: PLC0415

        store = Store(self.address, DeliveryError)
        item = store.head(f"{self.below}/{name}")
        if item is None:
            raise DeliveryError(f"{(self.address / self.below / name).text}: is gone. Start the run again.")
        return store.read(item)


Stage = FolderStage | StoreStage

"""The name under which a worker writes: the host's, and the lowest slot that no other worker of this host holds.

Stable, so that a worker that starts again ends at once what its predecessor left open; never shared, since two
producers of one name fence each other.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from features.errors import SettingsError
from storage.locks import BusyError, Lock

_SLOTS = 1_000


class Slot:
    """A number that this process alone holds on this host for a name, until it ends, however it ends."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        """Take the lowest free number. `folder`: where the locks lie; default: one of this user in the temporary one.

        Raises:
            SettingsError: the folder belongs to someone else, or there are a thousand workers.

        """
        place = folder or Path(tempfile.gettempdir()) / f"credit-stream-{os.getuid()}"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.is_symlink() or place.stat().st_uid != os.getuid():
            raise SettingsError(f"{place}: belongs to another user. Set TMPDIR to a folder of your own.")
        stem = hashlib.sha256(name.encode()).hexdigest()[:16]
        for number in range(_SLOTS):
            try:
                self._lock = Lock(place / f"{stem}-{number}.lock")
            except BusyError:
                continue
            self.number = number
            return
        raise SettingsError(f"{place}: all {_SLOTS} slots are taken. End workers, or give this one another --instance.")

    def release(self) -> None:
        """Let another worker have the number."""
        self._lock.release()

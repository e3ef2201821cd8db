"""What takes long to make and is only read: made once in a run, by the worker that asks first, and shared by all."""

import fcntl
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shelf:
    """A folder of the run. A test that changes what stands here takes a copy."""

    root: Path

    def take(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the folder of this name; `make` fills it if it is not there. Others that ask meanwhile wait."""
        place, being_made = self.root / name, self.root / f"{name}.part"
        with (self.root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                shutil.rmtree(being_made, ignore_errors=True)  # of a worker that was killed
                being_made.mkdir()
                make(being_made)
                being_made.rename(place)
        return place

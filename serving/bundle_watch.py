"""A door follows the link to its bundle: what the link points to is served without a restart, or refused and said.

1. look     now and then, and when asked to: where does the link lead? Nothing else is done while that stays the same
2. change   the door loads and verifies the bundle beside the one that it serves, and goes over between two rounds
3. refuse   if that fails, the door serves on as before and says so; it tries again after a while, and when asked to

Nothing that goes wrong here ends the door.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from features.errors import CreditError

__all__ = ["BundleWatch", "Watches"]

LOOK_S = 0.5
_AGAIN_S = 30.0


class Told(Protocol):
    """Whoever says what became of the bundle that the link points to."""

    def bundle_refused(self, why: str) -> None:
        """Say why it is not served; once for each reason, until another one holds."""

    def bundle_agreed(self) -> None:
        """Note, after a refusal, that what is served is again what the link points to."""


class BundleWatch:
    """Looks in a thread of its own. `change` gets the folder of a bundle, and raises where it must not be served."""

    def __init__(self, link: Path, served: Path | None, change: Callable[[Path], None], told: Told) -> None:
        """Take the link and the folder that is served now; None: none yet. Not started yet."""
        self._link, self._served, self._change, self._told = link, served, change, told
        self._refused: Path | None = None
        self._why, self._again = "", 0.0
        self._asked = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._follow, name="bundle-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def look_now(self) -> None:
        """Look at once, also at what was refused. May be called by a handler of signals."""
        self._again = 0.0
        self._asked.set()

    def stop(self) -> None:
        """End looking; a bundle that is being loaded is waited for."""
        self._ended = True
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._ended:
            self.look()
            self._asked.wait(LOOK_S)
            self._asked.clear()

    def look(self) -> None:
        """Look once, in the caller's thread; only before it was started."""
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the door serves on
            self._refuse(f"{type(error).__name__} while {self._link} was followed; the door's bundle stays")

    def _look(self) -> None:
        found = self._link.resolve()
        if found == self._served:
            self._agree()
        elif found != self._refused or time.monotonic() >= self._again:
            self._refused, self._again = found, time.monotonic() + _AGAIN_S
            try:
                self._change(found)
            except (CreditError, OSError) as error:
                self._refuse(f"{self._link} leads to what is not served: {error}")
            else:
                self._served = found
                self._agree()

    def _agree(self) -> None:
        self._refused = None
        if self._why:
            self._why = ""
            self._told.bundle_agreed()

    def _refuse(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._told.bundle_refused(why)


class Watches:
    """Those of one door, started and ended together."""

    def __init__(self, *watches: BundleWatch) -> None:
        """Take them; not started yet."""
        self._watches = watches

    def start(self) -> None:
        """Begin to look."""
        for watch in self._watches:
            watch.start()

    def look_now(self) -> None:
        """Look at once, also at what was refused. May be called by a handler of signals."""
        for watch in self._watches:
            watch.look_now()

    def stop(self) -> None:
        """End looking; a bundle that is being loaded is waited for."""
        for watch in self._watches:
            watch.stop()

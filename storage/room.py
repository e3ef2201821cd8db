"""How much memory a run may use, measured before it begins, and how much of it is left for tables to lie in."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Room", "free_memory", "room_of"]

_WORK_BYTES = 1 << 30  # what a run needs beside its tables: libraries, what is read, and the parts that are scored
_MOST_BYTES = 4 << 30  # a run does not take more unasked
_GROUPS = Path("/sys/fs/cgroup")
_NAMES = {  # limit, use, and the file that tells which of it the system takes back: of control groups 2 and 1
    "memory.max": ("memory.current", "inactive_file"),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
}


class Room:
    """Bytes of memory that tables may take together. Safe to share between threads."""

    def __init__(self, size: int) -> None:
        """Begin with all of it free."""
        self._free = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so much, if it is free; say whether it was."""
        with self._lock:
            fits = size <= self._free
            self._free -= size if fits else 0
        return fits


def room_of(memory: int | None) -> Room:
    """Return the room for tables of a run that may use so many bytes in all; None: up to half of what is free."""
    whole = min(free_memory() // 2, _MOST_BYTES) if memory is None else memory
    return Room(max(0, whole - _WORK_BYTES))


def free_memory(meminfo: Path = Path("/proc/meminfo"), groups: Path = _GROUPS) -> int:
    """Return the bytes that this process may still take: of the machine, or of its control group if that has less.

    0 where the system does not tell.
    """
    return min([_free_of_machine(meminfo), *_free_of_groups(groups)])


def _free_of_machine(meminfo: Path) -> int:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 if hasattr(os, "sysconf") else 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


def _free_of_groups(groups: Path) -> Iterator[int]:
    """Yield what is left in the group that this process sees as the root, and in those around it."""
    for folder in _own_groups(groups):
        for limit, (use, given_back) in _NAMES.items():
            try:
                most, used = (folder / limit).read_text().strip(), int((folder / use).read_text())
                pages = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            except (OSError, ValueError):
                continue
            if most.isdigit():
                yield max(0, int(most) - used + int(pages.get(given_back, 0)))


def _own_groups(groups: Path) -> Iterator[Path]:
    yield from (groups, groups / "memory")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers in {"", "memory"}:
            inner = groups / controllers / path.lstrip("/")
            yield from (folder for folder in (inner, *inner.parents) if groups in folder.parents)

"""A bound for the memory of what is built from files of others: a constant of 12 GB, or tables that unfold to six."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/statm")
ROOM_BYTES = 1 << 30


@contextmanager
def room_for(content: int) -> Iterator[None]:
    """Let this process take `ROOM_BYTES`, and 16 times `content` bytes, more memory than now; what asks for more fails.

    Libraries then raise MemoryError or an error of their own. Where the system does not tell the size of a process,
    nothing is bounded.
    """
    if not _STATUS.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(_STATUS.read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM_BYTES + 16 * content
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

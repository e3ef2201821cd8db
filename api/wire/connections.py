"""Which connections may stay: shared by both servers, so that slow and idle clients meet the same limits."""

from collections.abc import Iterable
from typing import Protocol

GRACE_SHARE = 0.12  # of the time to stop: so long a request may be on its way on a connection that looks idle


class Connection(Protocol):
    """A connection, as far as limits look at it."""

    @property
    def waiting_since(self) -> float | None:
        """Since when it has had no complete head of a request (monotonic seconds); None while it serves one."""

    @property
    def begun(self) -> bool:
        """Whether it is new or part of a head has arrived, so that the short limit holds."""


def overdue(connections: Iterable[Connection], now: float, header_seconds: float, idle_seconds: float) -> list[object]:
    """Return the connections whose head is late, and those that were idle too long."""
    return [
        connection
        for connection in connections
        if (since := connection.waiting_since) is not None
        and now - since > (header_seconds if connection.begun else idle_seconds)
    ]


def longest_waiting(connections: Iterable[Connection]) -> Connection | None:
    """Return the connection that makes room for a new one: the one that has waited longest without a request."""
    waiting = [connection for connection in connections if connection.waiting_since is not None]
    return min(waiting, key=lambda connection: connection.waiting_since or 0, default=None)

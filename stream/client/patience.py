"""One patience: how long an outage of the brokers may last, and every other time of a worker derived from it.

| time | of a patience of 45 s | why |
| --- | --- | --- |
| a call of the client | 2 s | a signal is seen, and another thing tried, in between |
| a request on the wire | 15 s | a broker that is frozen, or gone without a word, holds a connection no longer |
| a transaction, and the delivery of its records | 30 s | above Kafka's own failover (9 s and an election) |
| one that another worker left open | 45 s | its timeout, the broker's look each 10 s, and some |
| a step of the loop, all its calls again and again | 45 s | then the worker leaves its group and ends with 4 |
| the watchdog | 90 s | only a call that hangs gets there: 5 |
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from features.errors import DeliveryError
from stream.client.errors import PersonNeededError, RetriableError

log = logging.getLogger(__name__)

Clock = Callable[[], float]

CALL_S = 2.0
DEFAULT_S = 45.0
LONGEST_DEADLINE_S = 90.0
_PAUSE_S = 0.02
_APART = 4
_LOOK_S = 15.0  # within so many seconds a broker ends a transaction whose time is up


@dataclass(frozen=True, slots=True)
class Times:
    """What is derived from a patience of `seconds`."""

    seconds: float = DEFAULT_S

    @property
    def request_ms(self) -> int:
        """How long an answer may take."""
        return round(1000 * min(60.0, max(5.0, self.seconds / 3)))

    @property
    def transaction_ms(self) -> int:
        """How long a transaction may be open, and the delivery of its records take."""
        return round(1000 * min(120.0, max(10.0, self.seconds * 2 / 3)))

    @property
    def deadline_s(self) -> float:
        """When the watchdog ends a step."""
        return min(2 * self.seconds, LONGEST_DEADLINE_S)

    @staticmethod
    def others_s(transaction_ms: int) -> float:
        """How long a transaction may be held open by a worker that is gone, or lives."""
        return transaction_ms / 1000 + _LOOK_S


class Patience:
    """Makes calls again while they are retriable, and ends what has failed for too long: one outage, one patience."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        """`seconds`: how long an outage may last before the worker gives up."""
        self._seconds, self._clock = seconds, clock
        self._since = self._last = float("-inf")  # of the outage: its first failure, and its last

    def retry(self, call: Callable[[], None]) -> None:
        """Make the call again until it succeeds, or until patience ends.

        Raises:
            DeliveryError: it has ended.

        """
        while True:
            try:
                return call()
            except RetriableError as error:
                if self._failing():
                    raise self._ended(error) from error
                time.sleep(_PAUSE_S)

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self._since = self._last = float("-inf")

    def failed(self, error: DeliveryError) -> None:
        """Note that a batch was not delivered.

        Raises:
            DeliveryError: this has been so for too long, or a person must decide first.

        """
        if isinstance(error, PersonNeededError):
            raise error
        log.warning("the batch is read again: %s", error)
        if self._failing():
            raise self._ended(error) from error

    def _ended(self, error: DeliveryError) -> DeliveryError:
        return DeliveryError(
            f"no batch could be delivered for {self._seconds:.0f} s: {error}. Nothing was committed. Check the "
            "brokers, this worker's rights, and that no other host uses the same --instance; then start again."
        )

    def _failing(self) -> bool:
        """Note a failure; return whether patience ends. Failures that lie far apart are outages of their own."""
        now = self._clock()
        if now - self._last > _APART * self._seconds:
            self._since = now
        self._last = now
        return now - self._since > self._seconds

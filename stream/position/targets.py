"""The partitions of a worker's topics as they grow: each begins once every topic that is written to has it."""

import time
from collections.abc import Callable, Mapping

from features.errors import DeliveryError
from stream.client.records import Target

_ASK_S = 2.0


class Targets:
    """Knows how many partitions the topics have, and asks again where one is lacking."""

    def __init__(self, source: str, topics: tuple[str, ...], ask: Callable[[], Mapping[str, int]]) -> None:
        """`topics`: those that are written to. `ask`: partitions by topic, as the brokers say now."""
        self._source, self._topics, self._ask = source, topics, ask
        self._counts = dict(ask())
        self._asked = time.monotonic()

    @property
    def partitions(self) -> range:
        """Return the partitions of the topic that is read, as far as is known."""
        return range(self._counts.get(self._source, 0))

    @property
    def all(self) -> list[Target]:
        """Return what is written to."""
        return [(t, p) for t in self._topics for p in range(min(self._counts.get(t, 0), len(self.partitions)))]

    def lacks(self, partition: int) -> str | None:
        """Return which topic has no such partition yet, and what to do; None: all have it."""
        if partition >= min(self._counts.get(t, 0) for t in (self._source, *self._topics)):
            self._ask_again()
        lacking = [t for t in self._topics if self._counts.get(t, 0) <= partition]
        if not lacking:
            return None
        each = ", ".join(f"{t} has {self._counts.get(t, 0)}" for t in lacking)
        wanted = max(len(self.partitions), partition + 1)
        return (
            f"{self._source} has {wanted} partitions, {each}: a decision goes to the partition number of its "
            f"application. Add partitions: kafka-topics --alter --topic {lacking[0]} --partitions {wanted}"
        )

    def _ask_again(self) -> None:
        if time.monotonic() - self._asked < _ASK_S:
            return
        try:
            self._counts.update(self._ask())
        except DeliveryError:  # the brokers are away; asked again
            pass
        finally:
            self._asked = time.monotonic()

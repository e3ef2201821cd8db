"""How many messages one transaction may hold, so that what they themselves cost stays below a ceiling of seconds."""

_FORGET = 0.8  # of what was learnt, at each batch
_SPREAD = 0.1  # sizes must differ by so much of their mean, else they tell nothing about the cost of one message
LEAST = 50


class Pace:
    """Learns from how long batches took. `most` is never above the ceiling of messages, and not below `LEAST`.

    A batch costs something for itself, as the commit on replicated or distant brokers, and something for each message.
    Only the latter becomes less in a smaller batch, so only that is held against the ceiling: it is the slope of a
    straight line through the last batches, weighted by their age. While all had the same size, all is taken for it.
    """

    def __init__(self, max_messages: int, max_seconds: float) -> None:
        """Begin at the ceiling of messages."""
        self.most = max_messages
        self._max_messages, self._max_seconds = max_messages, max_seconds
        self._least = min(LEAST, max_messages)
        self._sums: tuple[float, ...] = (0.0,) * 5  # weights, sizes, seconds, sizes squared, sizes times seconds

    def took(self, messages: int, seconds: float) -> None:
        """Shrink after a batch whose messages took too long, in proportion; grow back by doubling after quick ones."""
        new = (1.0, messages, seconds, messages * messages, messages * seconds)
        weight, size, time, squares, products = self._sums = tuple(
            _FORGET * old + now for old, now in zip(self._sums, new, strict=True)
        )
        spread = squares / weight - (size / weight) ** 2
        each = seconds / messages
        if spread > (_SPREAD * size / weight) ** 2:
            each = min(each, max(0.0, (products / weight - size * time / weight**2) / spread))
        own = each * messages
        if own > self._max_seconds:
            self.most = max(self._least, int(min(messages, self.most) * self._max_seconds / own))
        elif own < self._max_seconds / 2:
            self.most = min(self._max_messages, self.most * 2)

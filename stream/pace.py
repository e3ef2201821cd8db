"""How many messages one transaction may hold, so that it stays below its ceiling of seconds."""


class Pace:
    """Learns from how long batches took. `most` is never above the ceiling of messages, and never below 1."""

    def __init__(self, max_messages: int, max_seconds: float) -> None:
        """Begin at the ceiling of messages."""
        self.most = max_messages
        self._max_messages, self._max_seconds = max_messages, max_seconds

    def took(self, messages: int, seconds: float) -> None:
        """Shrink after a batch that took too long, in proportion; grow back by doubling after quick ones."""
        if seconds > self._max_seconds:
            self.most = max(1, int(min(messages, self.most) * self._max_seconds / seconds))
        elif seconds < self._max_seconds / 2:
            self.most = min(self._max_messages, self.most * 2)

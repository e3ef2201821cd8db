"""The circuit breaker: so many refused messages that a producer's release must have gone wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Breaker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Looks at the last `window` messages. `accept`: so many more refusals are let pass without being counted.

    A record without change: what it knows of a batch counts only once the batch is final.
    """

    window: int = 200
    max_share: float = 0.5
    accept: int = 0
    recent: tuple[bool, ...] = ()

    @property
    def refused_share(self) -> float:
        """Share of refused messages that counts now."""
        return sum(self.recent) / self.window

    def after(self, refused: Sequence[bool]) -> "Breaker | None":
        """Return the breaker after these messages, True where refused; None if it opens at any of them."""
        accept, seen = self.accept, list(self.recent)
        for outcome in refused:
            if outcome and accept:
                accept -= 1
            else:
                seen.append(outcome)
        if self._opens(seen):
            return None
        return replace(self, accept=accept, recent=tuple(seen[-self.window :]))

    def _opens(self, seen: Sequence[bool]) -> bool:
        limit = self.max_share * self.window
        count = sum(seen[: self.window - 1])
        for i in range(self.window - 1, len(seen)):
            count += seen[i] - (seen[i - self.window] if i >= self.window else False)
            if count > limit:
                return True
        return False

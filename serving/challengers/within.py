"""Challengers within a batch: what they decide is there when it is written, or left out.

1. decide   a thread decides what the champion has decided, piece by piece, each piece by every challenger
2. bound    the batch waits for as long as scoring took, and `grace_s`, in all; whatever is not there by then is dropped
            and counted. A challenger that stands still holds up one batch: until it is back nobody waits for it
3. count    once the batch is final; whatever fails is counted under the challenger and ends nothing
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from scoring.message import Answer
from scoring.scorer import Scorer
from serving.challengers.beside import FAULTS, Challenger, Says, SaysOnce, outcomes, sample

PIECE = 256  # applications that are decided together


@dataclass(frozen=True, slots=True)
class Shadows:
    """What a challenger answered to messages of a batch, by their places, and what became of all of its sample."""

    bundle_id: str
    answers: Mapping[int, Answer]
    counts: Counter[str]


@dataclass(slots=True)
class _Work:
    """One batch for the thread; `made` and `errors` are of each challenger, in order."""

    of: list[Challenger]
    pairs: list[tuple[bytes, Answer]]
    champion: Scorer
    until: float
    made: list[list[Answer]]
    errors: list[BaseException | None]
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            for start in range(0, len(self.pairs), PIECE):
                messages, answers = zip(*self.pairs[start : start + PIECE], strict=True)
                for number, one in enumerate(self.of):
                    if time.monotonic() > self.until:
                        return
                    self._decide(number, one, messages, answers)
        finally:
            self.done.set()

    def _decide(self, number: int, one: Challenger, messages: Sequence[bytes], answers: Sequence[Answer]) -> None:
        if self.errors[number] is None:
            try:
                self.made[number].extend(one.decide(messages, answers, self.champion))
            except FAULTS as error:
                self.errors[number] = error


class WithinBatch:
    """The challengers of a worker that decides batch after batch."""

    def __init__(self, of: Callable[[], Sequence[Challenger]], share: float, grace_s: float, log: Says) -> None:
        """Begin a thread. `of` returns the challengers of the moment; `share` of the customers are decided."""
        self._of, self._share, self._grace_s, self._say_once = of, share, grace_s, SaysOnce(log)
        self._work: SimpleQueue[_Work] = SimpleQueue()
        self._last: _Work | None = None
        threading.Thread(target=self._run, name="challengers", daemon=True).start()

    def decide(
        self, messages: Sequence[bytes], answers: Sequence[Answer], spent_s: float, champion: Scorer
    ) -> list[Shadows]:
        """Return what each challenger answers where the champion decided, which took `spent_s`. Never raises."""
        until = time.monotonic() + self._grace_s + spent_s
        of = [one for one in self._of() if one.bundle_id != champion.bundle.bundle_id]  # else it decides already
        places = sample(answers, self._share) if of else []
        if not places:
            return []
        pairs = [(messages[place], answers[place]) for place in places]
        work = _Work(of, pairs, champion, until, [[] for _ in of], [None for _ in of])
        if self._last is None or self._last.done.is_set():
            self._last = work
            self._work.put(work)
            work.done.wait(max(0.0, until - time.monotonic()))
        return [self._shadows(one, places, pairs, work, number) for number, one in enumerate(of)]

    def _shadows(
        self, one: Challenger, places: list[int], pairs: list[tuple[bytes, Answer]], work: _Work, number: int
    ) -> Shadows:
        made, error = list(work.made[number]), work.errors[number]
        counts = outcomes((old, new) for (_, old), new in zip(pairs, made, strict=False))
        counts["dropped" if error is None else "failed"] += len(pairs) - len(made)
        if error is not None:
            self._say_once(one, error)
        return Shadows(one.bundle_id, dict(zip(places, made, strict=False)), +counts)

    def _run(self) -> None:
        while True:
            self._work.get().run()

"""Challengers behind the answers of a door.

1. offer    the door hands over what it has decided, once its own receipts are kept; that never waits and never fails
2. bound    where too many applications wait already, those that come are dropped and counted; and the thread rests for
            as long as it has worked, so that the door has at least every second moment to itself
3. decide   on the champion's feature rows where both compute the same ones, else from the message
4. keep     receipts of the kind `shadow`, which no reader takes for decisions
Whatever fails is counted under the challenger and ends nothing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from scoring.message import Answer, Refusal
from scoring.scorer import Scorer
from serving.challengers.beside import FAULTS, Challenger, Says, SaysOnce, outcomes, sample
from serving.fair_queue import Answered

MOST_WAITING = 4096  # applications, and then one more request
PIECE = 64  # applications that are decided together
GATHER_S = 0.05  # for them to come
_END_S = 2.0  # for what waits at the end
_PASSED_OVER = Answer(refusal=Refusal(code="", pointer="", expected=""))


class CountsChallengers(Protocol):
    """What counts what became of applications: the metrics of a door."""

    def challenged(self, bundle_id: str, outcome: str, count: int) -> None:
        """Count applications: decided (as the champion), changed, refused, dropped or failed."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that was decided, and the places of those of its applications that are of the sample."""

    request: Answered
    champion: Scorer
    places: list[int]


class LiveChallengers:
    """The challengers of one worker. `offer` may be called from any thread."""

    def __init__(
        self, of: Callable[[], Sequence[Challenger]], share: float, count: CountsChallengers, log: Says
    ) -> None:
        """Begin a thread. `of` returns the challengers of the moment; `share` of the customers are decided."""
        self._of, self._share, self._count, self._say_once = of, share, count, SaysOnce(log)
        self._known = tuple(of())
        self._waiting: deque[_Waiting] = deque()
        self._applications = 0
        self._wake, self._ended = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="challengers", daemon=True)
        self._thread.start()

    def offer(self, requests: Sequence[Answered], champion: Scorer) -> None:
        """Take requests that the champion has decided; what there is no room for is dropped. Never raises."""
        try:
            self._offer(requests, champion)
        except FAULTS as error:  # a round that failed here would be decided and kept once more
            for one in self._of():
                self._note(one, "failed", sum(len(request.answers) for request in requests))
                self._say_once(one, error)

    def _offer(self, requests: Sequence[Answered], champion: Scorer) -> None:
        for request in requests if self._of() else ():
            places = sample(request.answers, self._share)
            if not places:
                continue
            with self._wake:
                room = not self._applications or self._applications + len(places) <= MOST_WAITING
                if room and not self._ended.is_set():
                    self._applications += len(places)
                    self._waiting.append(_Waiting(request, champion, places))
                    self._wake.notify()
                    continue
            self._note_all("dropped", len(places))

    def close(self) -> None:
        """Decide what waits, for a moment; what is left then is dropped."""
        with self._wake:
            self._ended.set()
            self._wake.notify()
        self._thread.join(_END_S)
        with self._wake:
            left, self._applications = self._applications, 0
            self._waiting.clear()
        if left:
            self._note_all("dropped", left)
        self._thread.join(_END_S)
        for one in {*self._known, *self._of()}:
            one.close()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            began = time.monotonic()
            self._decide_all(taken)
            self._ended.wait(time.monotonic() - began)

    def _take(self) -> list[_Waiting] | None:
        """Return what is decided next, at most about a piece of it; None at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._ended.is_set())
            self._wake.wait_for(lambda: self._applications >= PIECE or self._ended.is_set(), GATHER_S)
            taken, count = [], 0
            while self._waiting and count < PIECE:
                one = self._waiting.popleft()
                taken.append(one)
                count += len(one.places)
            self._applications -= count
            return taken or None

    def _now(self) -> tuple[Challenger, ...]:
        """Return the challengers of the moment; those that no longer are get closed."""
        now = tuple(self._of())
        before, self._known = self._known, now
        for one in before:
            if one not in now:
                one.close()
        return now

    def _decide_all(self, taken: Sequence[_Waiting]) -> None:
        """Decide requests, those of one champion together."""
        challengers = self._now()
        for champion in dict.fromkeys(one.champion for one in taken):
            mine = [one for one in taken if one.champion is champion]
            for challenger in challengers:
                if challenger.bundle_id != champion.bundle.bundle_id:  # else it decides already
                    self._decide(challenger, mine, champion)

    def _decide(self, challenger: Challenger, taken: Sequence[_Waiting], champion: Scorer) -> None:
        count = sum(len(one.places) for one in taken)
        try:
            made = _answers(challenger, taken, champion)
            if challenger.keep is not None and (kept := [one for one in made if _any_decided(one)]):
                challenger.keep(kept)
        except FAULTS as error:
            self._note(challenger, "failed", count)
            self._say_once(challenger, error)
        else:
            both = ((one, other, at) for one, other in zip(taken, made, strict=True) for at in one.places)
            for outcome, number in outcomes((o.request.answers[at], n.answers[at]) for o, n, at in both).items():
                self._note(challenger, outcome, number)

    def _note(self, challenger: Challenger, outcome: str, count: int) -> None:
        if count:
            self._count.challenged(challenger.bundle_id, outcome, count)

    def _note_all(self, outcome: str, count: int) -> None:
        for one in self._of():
            self._note(one, outcome, count)


def _answers(challenger: Challenger, taken: Sequence[_Waiting], champion: Scorer) -> list[Answered]:
    """Return the requests as the challenger answers them; what is not of the sample is passed over."""
    pairs = [(one.request.messages[at], one.request.answers[at]) for one in taken for at in one.places]
    made: list[Answer] = []
    for start in range(0, len(pairs), PIECE):
        messages, answers = zip(*pairs[start : start + PIECE], strict=True)
        made += challenger.decide(messages, answers, champion)
    own, found = iter(made), []
    for one in taken:
        answered = [_PASSED_OVER] * len(one.request.messages)
        for at in one.places:
            answered[at] = next(own)
        found.append(replace(one.request, answers=answered))
    return found


def _any_decided(one: Answered) -> bool:
    return any(answer.decision is not None for answer in one.answers)

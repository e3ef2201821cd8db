"""What other bundles would have decided, beside a live door: behind its answers, within a budget, never in its way.

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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec

from features.errors import BundleError, CreditError
from scoring.message import Answer, MessageScorer, Refusal, completed
from scoring.sample import sampled
from scoring.scorer import Scorer
from serving.fair_queue import Answered

__all__ = ["Challenger", "Keep", "LiveChallengers", "open_challengers"]

MOST_WAITING = 4096  # applications, and then one more request
PIECE = 64  # applications that are decided together
GATHER_S = 0.05  # for them to come
_END_S = 2.0  # for what waits at the end
_PASSED_OVER = Answer(refusal=Refusal(code="", pointer="", expected=""))

Keep = Callable[[Sequence[Answered]], None]


class CountsChallengers(Protocol):
    """What counts what became of applications: the metrics of a door."""

    def challenged(self, bundle_id: str, outcome: str, count: int) -> None:
        """Count applications: decided (as the champion), changed, refused, dropped or failed."""


class Says(Protocol):
    """What a failure is said to."""

    def write(self, event: str, **fields: object) -> None:
        """Write one event."""


@dataclass(slots=True)
class Challenger:
    """One bundle beside that in service. `keep` None: it leaves no receipts. `close` ends keeping."""

    scorer: Scorer
    keep: Keep | None = None
    close: Callable[[], None] = lambda: None
    messages: MessageScorer = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to decide messages that carry their events."""
        self.messages = MessageScorer(self.scorer)

    @property
    def bundle_id(self) -> str:
        """Which bundle it is."""
        return self.scorer.bundle.bundle_id

    def decide(self, messages: Sequence[bytes], answers: Sequence[Answer], champion: Scorer) -> list[Answer]:
        """Decide what the champion has decided: these messages, with these answers."""
        if self.scorer.has_rows_of(champion):
            return self.messages.answer_again(answers)
        pairs = zip(messages, answers, strict=True)
        return self.messages.answer([m if a.history is None else completed(m, a.history.events()) for m, a in pairs])


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that was decided, and the places of those of its applications that are of the sample."""

    request: Answered
    champion: Scorer
    places: list[int]


class _Customer(msgspec.Struct, gc=False):
    customer_id: str


_customer = msgspec.json.Decoder(_Customer).decode


class LiveChallengers:
    """The challengers of one worker. `offer` may be called from any thread."""

    def __init__(self, of: Sequence[Challenger], share: float, count: CountsChallengers, log: Says) -> None:
        """Begin a thread. `share` of the customers are decided."""
        self._of, self._share, self._count, self._log = tuple(of), share, count, log
        self._waiting: deque[_Waiting] = deque()
        self._applications = 0
        self._said: set[tuple[str, str]] = set()
        self._wake, self._ended = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="challengers", daemon=True)
        self._thread.start()

    def offer(self, requests: Sequence[Answered], champion: Scorer) -> None:
        """Take requests that the champion has decided; what there is no room for is dropped. Never raises."""
        try:
            self._offer(requests, champion)
        except Exception as error:  # noqa: BLE001 - a round that failed here would be decided and kept once more
            for one in self._of:
                self._note(one, "failed", sum(len(request.answers) for request in requests))
                self._say_once(one, error)

    def _offer(self, requests: Sequence[Answered], champion: Scorer) -> None:
        for request in requests:
            places = self._sample(request)
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
        for one in self._of:
            one.close()

    def _sample(self, request: Answered) -> list[int]:
        decided = [place for place, answer in enumerate(request.answers) if answer.decision is not None]
        if self._share >= 1:
            return decided
        customers = [_customer(request.answers[place].decision or b"").customer_id for place in decided]
        return [place for place, wanted in zip(decided, sampled(customers, self._share), strict=True) if wanted]

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

    def _decide_all(self, taken: Sequence[_Waiting]) -> None:
        """Decide requests, those of one champion together."""
        for champion in dict.fromkeys(one.champion for one in taken):
            mine = [one for one in taken if one.champion is champion]
            for challenger in self._of:
                if challenger.bundle_id != champion.bundle.bundle_id:  # else it decides already
                    self._decide(challenger, mine, champion)

    def _decide(self, challenger: Challenger, taken: Sequence[_Waiting], champion: Scorer) -> None:
        count = sum(len(one.places) for one in taken)
        try:
            made = _answers(challenger, taken, champion)
            if challenger.keep is not None and (kept := [one for one in made if _any_decided(one)]):
                challenger.keep(kept)
        except Exception as error:  # noqa: BLE001 - whatever it is, the door serves on
            self._note(challenger, "failed", count)
            self._say_once(challenger, error)
        else:
            for outcome, number in _outcomes(taken, made).items():
                self._note(challenger, outcome, number)

    def _say_once(self, challenger: Challenger, error: Exception) -> None:
        why = str(error) if isinstance(error, CreditError) else type(error).__name__
        if (challenger.bundle_id, why) not in self._said:
            self._said.add((challenger.bundle_id, why))
            self._log.write("challenger_failed", challenger=challenger.bundle_id, message=why)

    def _note(self, challenger: Challenger, outcome: str, count: int) -> None:
        if count:
            self._count.challenged(challenger.bundle_id, outcome, count)

    def _note_all(self, outcome: str, count: int) -> None:
        for one in self._of:
            self._note(one, outcome, count)


def open_challengers(
    paths: Sequence[Path],
    champion: Scorer,
    open_bundle: Callable[[Path], Scorer],
    make: Callable[[Scorer], Challenger],
    log: Says,
) -> list[Challenger]:
    """Open those that can stand beside the champion; what cannot is left out and said, for the door serves on."""
    found: list[Challenger] = []
    for path in paths:
        try:
            scorer = open_bundle(path)
            if scorer.bundle.bundle_id in {champion.bundle.bundle_id, *[one.bundle_id for one in found]}:
                raise BundleError(f"{path}: its bundle decides already.")
            if scorer.bundle.spec.classes != champion.bundle.spec.classes:
                raise BundleError(f"{path}: has other classes than the bundle in service.")
            found.append(make(scorer))
        except (CreditError, OSError) as error:
            log.write("challenger_left_out", challenger=str(path), message=str(error))
    return found


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


def _outcomes(taken: Sequence[_Waiting], made: Sequence[Answered]) -> dict[str, int]:
    counts = dict.fromkeys(("decided", "changed", "refused"), 0)
    for one, other in zip(taken, made, strict=True):
        for at in one.places:
            before, after = one.request.answers[at], other.answers[at]
            changed = "changed" if before.credit_class != after.credit_class else "decided"
            counts["refused" if after.decision is None else changed] += 1
    return counts

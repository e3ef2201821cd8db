"""The challengers of a door: opened and followed like the champion, deciding what it decides, and what became of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
from polars.exceptions import PanicException

from features.errors import CreditError
from scoring.challengers import check_beside, sampled
from scoring.message import Answer, MessageScorer, completed
from scoring.scorer import Scorer
from serving.bundle_watch import BundleWatch
from serving.fair_queue import Answered

__all__ = ["FAULTS", "Challenger", "Followed", "Keep", "Says", "SaysOnce", "outcomes", "sample"]

FAULTS = (Exception, PanicException)  # whatever goes wrong with a challenger, the door serves on
Keep = Callable[[Sequence[Answered]], None]


class Says(Protocol):
    """What is told of a challenger."""

    def write(self, event: str, **fields: object) -> None:
        """Write one event."""


@dataclass(slots=True, eq=False)
class Challenger:
    """One bundle beside that in service. `keep` None: its receipts are not kept here. `close` ends keeping."""

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


class Followed:
    """Those that stand beside the champion now, one for each link to a bundle; each link is followed.

    What cannot stand beside the champion is left out and said, for the door serves on.
    """

    def __init__(
        self,
        links: Sequence[Path],
        champion: Scorer,
        open_bundle: Callable[[Path], Scorer],
        make: Callable[[Scorer], Challenger],
        log: Says,
    ) -> None:
        """Open what the links lead to. `watches` follow them from here on, once they are started."""
        self._champion = champion
        self._open, self._make, self._log = open_bundle, make, log
        self._of: list[Challenger | None] = [None] * len(links)
        self.watches = [
            BundleWatch(link, None, partial(self._change, place), _Told(link, log)) for place, link in enumerate(links)
        ]
        for watch in self.watches:
            watch.look()

    def __call__(self) -> list[Challenger]:
        """Return the challengers."""
        return [one for one in self._of if one is not None]

    @property
    def champion(self) -> Scorer:
        """Return the bundle in service."""
        return self._champion

    @champion.setter
    def champion(self, scorer: Scorer) -> None:
        """Take another one. A bundle that was left out may stand beside this one: the champion of before is one."""
        self._champion = scorer
        for watch in self.watches:
            watch.look_now()

    def _change(self, place: int, folder: Path) -> None:
        scorer = self._open(folder)
        others = [one.scorer for at, one in enumerate(self._of) if one is not None and at != place]
        check_beside(scorer, self._champion, others)
        self._of[place] = self._make(scorer)
        self._log.write("challenger_opened", challenger=scorer.bundle.bundle_id)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the watch over the link to a challenger says."""

    link: Path
    log: Says

    def bundle_refused(self, why: str) -> None:
        self.log.write("challenger_left_out", challenger=str(self.link), message=why)

    def bundle_agreed(self) -> None:
        self.log.write("challenger_left_out_no_more", challenger=str(self.link))


class SaysOnce:
    """Says each reason why a challenger failed once."""

    def __init__(self, log: Says) -> None:
        """Take what it is said to."""
        self._log = log
        self._said: set[tuple[str, str]] = set()

    def __call__(self, challenger: Challenger, error: BaseException) -> None:
        """Say it, without the text of an error that may hold a value of a message."""
        why = str(error) if isinstance(error, CreditError) else type(error).__name__
        if (challenger.bundle_id, why) not in self._said:
            self._said.add((challenger.bundle_id, why))
            self._log.write("challenger_failed", challenger=challenger.bundle_id, message=why)


class _Customer(msgspec.Struct, gc=False):
    customer_id: str


_customer = msgspec.json.Decoder(_Customer).decode


def sample(answers: Sequence[Answer], share: float) -> list[int]:
    """Return the places of decisions on this share of the customers."""
    decided = [place for place, answer in enumerate(answers) if answer.decision is not None]
    if share >= 1:
        return decided
    customers = [_customer(answers[place].decision or b"").customer_id for place in decided]
    return [place for place, wanted in zip(decided, sampled(customers, share), strict=True) if wanted]


def outcomes(pairs: Iterable[tuple[Answer, Answer]]) -> Counter[str]:
    """Count what became of applications, by the champion's answer and the challenger's."""
    counts: Counter[str] = Counter()
    for before, after in pairs:
        changed = "changed" if before.credit_class != after.credit_class else "decided"
        counts["refused" if after.decision is None else changed] += 1
    return counts

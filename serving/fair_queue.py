"""What waits to be scored, by key: each round takes as many messages of one key as of another, whoever sends more."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scoring.message import Answer

__all__ = ["Answered", "Deciding", "Early", "Work"]

ResponseT = TypeVar("ResponseT")  # what the door sends
Answering = Callable[[Sequence[bytes]], list[Answer]]


@dataclass(frozen=True, slots=True)
class Answered:
    """The messages of one request and their answers; `headers` go to its receipts."""

    request_id: str
    messages: Sequence[bytes]
    answers: list[Answer]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Deciding:
    """What answers messages and keeps the receipts of decisions, of one bundle; `keep` None: there are no receipts.

    `keep` raises DeliveryError where they cannot be kept.
    """

    answer: Answering
    keep: Callable[[list[Answered]], None] | None = None


@dataclass(frozen=True, slots=True)
class Early(Generic[ResponseT]):
    """The response to a request whose messages are not scored: they cannot be told apart, or it is too late."""

    response: ResponseT


@dataclass(slots=True, kw_only=True, eq=False)
class Work(Generic[ResponseT]):
    """One request that waits. `split` makes its messages, `respond` its response.

    `late`, `unkept` and `failed` make the responses at the deadline, without a receipt and after a fault. `large`: its
    messages are not known before it is split, which takes time; `deadline` is on the coalescer's clock. `key`: whose
    it is. `headers`: those that its receipts keep. `messages`, `taken` and `answers` tell how far it is; `by` what
    decides all of its messages, from the first on.
    """

    split: Callable[[], Sequence[bytes] | Early[ResponseT]]
    respond: Callable[[list[Answer]], ResponseT]
    late: Callable[[], ResponseT]
    unkept: Callable[[], ResponseT]
    failed: Callable[[BaseException], ResponseT]
    deadline: float
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    large: bool = False
    gone: Callable[[], bool] = lambda: False
    future: "Future[ResponseT]" = field(default_factory=Future)
    messages: Sequence[bytes] | Early[ResponseT] | None = None
    taken: int = 0
    answers: list[Answer] = field(default_factory=list)
    by: Deciding | None = None

    @property
    def left(self) -> int:
        """Return how many messages are to be scored yet; one that was not split counts as one."""
        if isinstance(self.messages, Early):
            return 0
        return 1 if self.messages is None else len(self.messages) - self.taken


@dataclass(frozen=True, slots=True)
class Part(Generic[ResponseT]):
    """Some messages of a request, from `start` on, which are scored in one round, by what scores all of them."""

    work: Work[ResponseT]
    by: Deciding
    messages: Sequence[bytes]
    start: int
    last: bool

    def settle(self, answers: Iterator[Answer]) -> None:
        """Take the answers to its messages, also where it is scored once more."""
        self.work.answers[self.start :] = [next(answers) for _ in self.messages]


class FairQueue(Generic[ResponseT]):
    """Requests by key, in order for each key. Not to be shared between threads without a lock."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._of: dict[str, deque[Work[ResponseT]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def add(self, work: Work[ResponseT]) -> None:
        """Queue a request behind those of its key."""
        self._of.setdefault(work.key, deque()).append(work)

    def drop(self, unwanted: Callable[[Work[ResponseT]], bool]) -> None:
        """Forget requests that nobody waits for."""
        kept = {key: deque(w for w in waiting if w.taken or not unwanted(w)) for key, waiting in self._of.items()}
        self._of = {key: waiting for key, waiting in kept.items() if waiting}

    def forget(self, work: Work[ResponseT]) -> None:
        """Leave out the rest of a request that failed."""
        if work.left and work in self._of.get(work.key, ()):
            self._of[work.key].remove(work)
            if not self._of[work.key]:
                del self._of[work.key]

    @property
    def begun(self) -> bool:
        """Whether the next messages of a request are known to wait."""
        return any(waiting[0].taken for waiting in self._of.values())

    def unsplit(self) -> list[Work[ResponseT]]:
        """Return of each key the first request that must be split before it can be taken, if it comes next."""
        first = [waiting[0] for waiting in self._of.values()]
        return [work for work in first if work.large and work.messages is None]

    def take(self, room: int, by: Deciding, prepare: Callable[[Work[ResponseT]], bool]) -> list[Part[ResponseT]]:
        """Take at most `room` messages, but at least one, shared between the keys that wait; `by` decides new ones.

        `prepare` splits a request and tells whether it is still wanted. A large one that was not split waits for the
        next round.
        """
        parts: list[Part[ResponseT]] = []
        while room > 0 and self._of:
            share, before = max(1, room // len(self._of)), room
            for key in list(self._of):
                for part in self._of_key(key, min(share, room), by, prepare):
                    parts.append(part)
                    room -= len(part.messages)
            if room == before:
                break
        if self._of:  # who was first is last in the next round
            first = next(iter(self._of))
            self._of[first] = self._of.pop(first)
        return parts

    def _of_key(
        self, key: str, share: int, by: Deciding, prepare: Callable[[Work[ResponseT]], bool]
    ) -> Iterator[Part[ResponseT]]:
        waiting = self._of[key]
        while waiting and share > 0 and not (waiting[0].large and waiting[0].messages is None):
            work = waiting[0]
            if not prepare(work):
                waiting.popleft()
                continue
            count = min(share, work.left)
            messages = [] if isinstance(work.messages, Early) else (work.messages or [])
            start, some = work.taken, messages[work.taken : work.taken + count]
            work.taken, share, work.by = start + count, share - count, work.by or by
            last = not work.left
            if last:
                waiting.popleft()
            yield Part(work, work.by, some, start, last)
        if not waiting:
            del self._of[key]

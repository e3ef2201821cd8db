"""Requests that are in flight at the same moment are scored together, by one thread; nobody waits while it is idle.

1. submit   refused when too many wait; else queued, and the thread starts at once if it is idle
2. gather   right after a round, clients that it answered ask again: the next round waits for as many requests as were
            in flight, but no longer than a millisecond after the round. A thread that was idle waits for nothing, and
            where few came of those that were waited for, as from callers who do not wait for answers, nobody waits
3. take     what waits; requests whose client has gone or whose deadline has passed cost nothing
4. answer   one call for all messages of the round
5. keep     one call for the receipts of the round, where they are kept; if it fails, no decision of the round goes out
6. respond  each request gets its response; if a round fails, each of its requests is tried alone, so that a fault
            that one request triggers does not harm its neighbours
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from api.problems import Response
from features.errors import DeliveryError
from scoring.messages import Answer

GATHER_SECONDS = 0.001
_WORTH = 0.6  # of those that are waited for, so many must come, on average of the last times
_WEIGHT = 0.1  # of the last time in it
_PROBE_ROUNDS = 32  # after so many rounds without waiting it is tried again
Answering = Callable[[Sequence[bytes]], list[Answer]]


@dataclass(frozen=True, slots=True)
class Answered:
    """The messages of one request and their answers."""

    request_id: str
    messages: Sequence[bytes]
    answers: list[Answer]


Keeping = Callable[[list[Answered]], None]


@dataclass(slots=True, kw_only=True)
class Work:
    """One request that waits. `split` makes its messages, `respond` its response.

    `late`, `unkept` and `failed` make the responses at the deadline, without a receipt and after a fault. `weight`
    counts against the size of a round; `deadline` is on the coalescer's clock.
    """

    split: Callable[[], Sequence[bytes] | Response]
    respond: Callable[[list[Answer]], Response]
    late: Callable[[], Response]
    unkept: Callable[[], Response]
    failed: Callable[[BaseException], Response]
    deadline: float
    request_id: str = ""
    weight: int = 1
    gone: Callable[[], bool] = lambda: False
    future: "Future[Response]" = field(default_factory=Future)


class Full(Exception):  # noqa: N818 - a state, not a fault
    """Too many requests wait."""


class Coalescer:
    """Scores what waits in rounds. Safe to share between threads."""

    def __init__(
        self,
        answer: Answering,
        clock: Callable[[], float],
        *,
        most_waiting: int,
        round_size: int,
        keep: Keeping | None = None,
    ) -> None:
        """Take the function that scores; `round_size` is the most weight in one round (1: no coalescing).

        `keep` raises DeliveryError where receipts cannot be kept; None: there are none.
        """
        self._answer, self._keep = answer, keep
        self._clock = clock
        self._most_waiting = most_waiting
        self._round_size = round_size
        self._lock = threading.Condition()
        self._taken = 0
        self._in_flight = 0
        self._round_ended = 0.0
        self._came = 1.0
        self._passed_over = 0
        self._waiting: deque[Work] = deque()
        self._busy = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scoring")

    def submit(self, work: Work) -> None:
        """Queue a request; its future gets the response.

        Raises:
            Full: too many requests wait.

        """
        with self._lock:
            if len(self._waiting) >= self._most_waiting:  # those whose clients have gone make room
                self._waiting = deque(w for w in self._waiting if not (w.future.cancelled() or w.gone()))
            if len(self._waiting) >= self._most_waiting:
                raise Full
            self._waiting.append(work)
            if self._busy:
                if self._complete():
                    self._lock.notify()
                return
            self._busy = True
        self._start()

    def close(self) -> None:
        """Finish what waits and end the thread."""
        self._pool.shutdown(wait=True)

    def _start(self) -> None:
        self._pool.submit(self._next)

    def _next(self) -> None:
        with self._lock:
            patience = self._round_ended + GATHER_SECONDS - self._clock()
            if patience > 0 and self._in_flight > 1 and not self._complete():
                self._gather(patience)
            taken = self._take()
            self._taken = len(taken)
            if not taken:
                self._busy = False
                return
        self._run(taken, self._end_round)

    def _gather(self, patience: float) -> None:
        if self._came < _WORTH and self._passed_over < _PROBE_ROUNDS:
            self._passed_over += 1
            return
        self._passed_over, before = 0, len(self._waiting)
        self._lock.wait_for(self._complete, patience)
        came = min(1.0, (len(self._waiting) - before) / (self._in_flight - before))
        self._came += _WEIGHT * (came - self._came)

    def _complete(self) -> bool:
        """Tell whether as many wait as were in flight."""
        return len(self._waiting) >= self._in_flight

    def _end_round(self) -> None:
        with self._lock:
            self._round_ended = self._clock()
            self._in_flight = self._taken + len(self._waiting)
            if not self._waiting:
                self._busy = False
                return
        self._start()

    def _run(self, taken: list[Work], then: Callable[[], None]) -> None:
        self._pool.submit(self._round, taken).add_done_callback(lambda done: self._after(done, taken, then))

    def _take(self) -> list[Work]:
        taken: list[Work] = []
        room = self._round_size
        while self._waiting and (not taken or self._waiting[0].weight <= room):
            work = self._waiting.popleft()
            if work.gone() or not work.future.set_running_or_notify_cancel():
                work.future.cancel()
                continue
            taken.append(work)
            room -= work.weight
        return taken

    def _round(self, taken: list[Work]) -> list[Response]:
        now = self._clock()
        split = [work.late() if work.deadline < now else work.split() for work in taken]
        messages = [message for part in split if not isinstance(part, Response) for message in part]
        answers = iter(self._answer(messages) if messages else [])
        made = [
            part if isinstance(part, Response) else Answered(work.request_id, part, [next(answers) for _ in part])
            for work, part in zip(taken, split, strict=True)
        ]
        kept = self._kept([one for one in made if isinstance(one, Answered) and _decided(one)])
        return [_response(work, one, kept=kept) for work, one in zip(taken, made, strict=True)]

    def _kept(self, decided: list[Answered]) -> bool:
        try:
            if self._keep is not None and decided:
                self._keep(decided)
        except DeliveryError:
            return False
        return True

    def _after(self, done: "Future[list[Response]]", taken: list[Work], then: Callable[[], None]) -> None:
        error = done.exception()
        if error is None:
            for work, response in zip(taken, done.result(), strict=True):
                work.future.set_result(response)
        elif len(taken) == 1:
            taken[0].future.set_result(taken[0].failed(error))
        else:
            self._alone(deque(taken), then)
            return
        then()

    def _alone(self, failed: deque[Work], then: Callable[[], None]) -> None:
        """Run the requests of a failed round one by one."""
        work = failed.popleft()
        self._run([work], (lambda: self._alone(failed, then)) if failed else then)


def _decided(one: Answered) -> bool:
    return any(answer.refusal is None for answer in one.answers)


def _response(work: Work, made: Response | Answered, *, kept: bool) -> Response:
    if isinstance(made, Response):
        return made
    return work.respond(made.answers) if kept or not _decided(made) else work.unkept()

"""Requests that are in flight at the same moment are scored together, by one thread; nobody waits while it is idle.

1. submit   refused when too many wait; else queued by key, and the thread starts at once if it is idle
2. gather   right after a round, clients that it answered ask again: the next round waits for as many requests as were
            in flight, but no longer than a millisecond after the round. A thread that was idle waits for nothing, and
            where few came of those that were waited for, as from callers who do not wait for answers, nobody waits
3. take     what waits, as much of one key as of another: a batch goes on in the next rounds, so that it does not keep
            others waiting; requests whose client has gone or whose deadline has passed cost nothing
4. answer   one call for all messages of the round
5. keep     one call for the receipts of the requests that the round completes, where they are kept; if it fails, none
            of their decisions goes out
6. respond  each request gets its response; if a round fails, each of its requests is tried alone, so that a fault
            that one request triggers does not harm its neighbours

What decides can be changed while requests come in. A request is decided whole by what was in service when its first
message was taken: a batch that began before a change ends with the bundle with which it began, in a call of its own.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic

from features.errors import DeliveryError
from serving.fair_queue import Answered, Deciding, Early, FairQueue, Part, ResponseT, Work

__all__ = ["Coalescer", "Full"]

GATHER_SECONDS = 0.001
_WORTH = 0.6  # of those that are waited for, so many must come, on average of the last times
_WEIGHT = 0.1  # of the last time in it
_PROBE_ROUNDS = 32  # after so many rounds without waiting it is tried again


class Full(Exception):  # noqa: N818 - a state, not a fault
    """Too many requests wait."""


class Coalescer(Generic[ResponseT]):
    """Scores what waits in rounds. Safe to share between threads."""

    def __init__(
        self,
        by: Deciding,
        clock: Callable[[], float],
        *,
        most_waiting: int,
        round_size: int,
    ) -> None:
        """Take what decides; `round_size` is the most messages in one round (1: no coalescing)."""
        self._by = by
        self._clock = clock
        self._most_waiting = most_waiting
        self._round_size = round_size
        self._lock = threading.Condition()
        self._taken = 0
        self._in_flight = 0
        self._round_ended = 0.0
        self._came = 1.0
        self._passed_over = 0
        self._waiting = FairQueue[ResponseT]()
        self._busy = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scoring")

    def submit(self, work: Work[ResponseT]) -> None:
        """Queue a request; its future gets the response.

        Raises:
            Full: too many requests wait.

        """
        with self._lock:
            if len(self._waiting) >= self._most_waiting:  # those whose clients have gone make room
                self._waiting.drop(lambda w: w.future.cancelled() or w.gone())
            if len(self._waiting) >= self._most_waiting:
                raise Full
            self._waiting.add(work)
            if self._busy:
                if self._complete():
                    self._lock.notify()
                return
            self._busy = True
        self._start()

    def change(self, by: Deciding) -> None:
        """Decide by another bundle: every request of which nothing was taken yet."""
        self._by = by

    def close(self) -> None:
        """Finish what waits and end the thread."""
        self._pool.shutdown(wait=True)

    def _start(self) -> None:
        self._pool.submit(self._next)

    def _next(self) -> None:
        with self._lock:
            patience = self._round_ended + GATHER_SECONDS - self._clock()
            if patience > 0 and self._in_flight > 1 and not (self._waiting.begun or self._complete()):
                self._gather(patience)
            unsplit = self._waiting.unsplit()
        for work in unsplit:  # it takes milliseconds: not while others want to come in
            work.messages = self._split(work)
        with self._lock:
            taken = self._waiting.take(self._round_size, self._by, self._wanted)
            self._taken = sum(part.last for part in taken)
            if not taken and not self._waiting:
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

    def _run(self, taken: list[Part[ResponseT]], then: Callable[[], None]) -> None:
        self._pool.submit(self._round, taken).add_done_callback(lambda done: self._after(done, taken, then))

    def _split(self, work: Work[ResponseT]) -> Sequence[bytes] | Early[ResponseT]:
        return Early(work.late()) if work.deadline < self._clock() else work.split()

    def _wanted(self, work: Work[ResponseT]) -> bool:
        """Tell whether anybody waits for a request, and have its next messages ready."""
        if work.gone() or not (work.taken or work.future.set_running_or_notify_cancel()):
            work.future.cancel()
            return False
        if work.messages is None:
            work.messages = self._split(work)
        elif work.taken and work.deadline < self._clock():
            work.messages, work.taken = Early(work.late()), 0
        return True

    @staticmethod
    def _round(taken: list[Part[ResponseT]]) -> list[ResponseT | None]:
        bundles = dict.fromkeys(part.by for part in taken)
        for by in bundles:
            parts = [part for part in taken if part.by is by]
            messages = [message for part in parts for message in part.messages]
            answers = iter(by.answer(messages) if messages else [])
            for part in parts:
                part.settle(answers)
        made = [_made(part.work) if part.last else None for part in taken]  # all of them, before a receipt is kept
        pairs = list(zip([part.by for part in taken], made, strict=True))
        kept = {by: _kept(by, [one for own, one in pairs if own is by and isinstance(one, Answered)]) for by in bundles}
        return [_response(part.work, one, kept=kept[part.by]) for part, one in zip(taken, made, strict=True)]

    def _after(
        self, done: "Future[list[ResponseT | None]]", taken: list[Part[ResponseT]], then: Callable[[], None]
    ) -> None:
        error = done.exception()
        if error is None:
            for part, response in zip(taken, done.result(), strict=True):
                if response is not None and not part.work.future.done():
                    part.work.future.set_result(response)
        elif len(taken) == 1:
            self._fail(taken[0].work, error)
        else:
            self._alone(taken, then)
            return
        then()

    def _fail(self, work: Work[ResponseT], error: BaseException) -> None:
        with self._lock:
            self._waiting.forget(work)
        if not work.future.done():
            work.future.set_result(work.failed(error))

    def _alone(self, failed: list[Part[ResponseT]], then: Callable[[], None]) -> None:
        """Run the parts of a failed round one by one; those of a request that failed are left out."""
        left = [part for part in failed if not part.work.future.done()]
        if not left:
            then()
            return
        self._run(left[:1], lambda: self._alone(left[1:], then))


def _made(work: Work[ResponseT]) -> Early[ResponseT] | Answered:
    if work.messages is None or isinstance(work.messages, Early):
        return work.messages or Early(work.late())
    return Answered(work.request_id, work.messages, work.answers, work.headers)


def _kept(by: Deciding, made: list[Answered]) -> bool:
    decided = [one for one in made if _decided(one)]
    try:
        if by.keep is not None and decided:
            by.keep(decided)
    except DeliveryError:
        return False
    return True


def _decided(one: Answered) -> bool:
    return any(answer.refusal is None for answer in one.answers)


def _response(work: Work[ResponseT], made: Early[ResponseT] | Answered | None, *, kept: bool) -> ResponseT | None:
    if made is None:
        return None
    if isinstance(made, Early):
        return made.response
    return work.respond(made.answers) if kept or not _decided(made) else work.unkept()

"""Rounds of the scoring thread: what costs nothing, what is scored together; a fault stays with its request."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from api.problems import Response
from features.errors import DeliveryError
from scoring.message.decoder import Refusal
from scoring.message.message_scorer import Answer
from serving.coalescer import Coalescer, Full
from serving.fair_queue import Answered, Deciding, Work
from tests.waiting import PATIENCE_S


class Scores:
    """Answers messages, remembers the rounds, waits while `hold` is set, and trips over one message."""

    def __init__(self) -> None:
        self.rounds: list[list[bytes]] = []
        self.called, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, messages: Sequence[bytes]) -> list[Answer]:
        self.called.set()
        self.go.wait(PATIENCE_S)
        self.rounds.append(list(messages))
        if b"trip" in messages:
            raise ZeroDivisionError
        return [Answer(refusal=Refusal.of("field_missing")) if m == b"refuse" else Answer(decision=m) for m in messages]


@pytest.fixture
def scores() -> Scores:
    return Scores()


@pytest.fixture
def coalescer(scores: Scores) -> Iterator[Coalescer[Response]]:
    made = Coalescer[Response](Deciding(scores), time.monotonic, most_waiting=4, round_size=10)
    yield made
    scores.go.set()
    made.close()


def work(message: bytes, seconds: float = PATIENCE_S, *, gone: bool = False) -> Work[Response]:
    return Work(
        split=lambda: [message],
        respond=lambda answers: Response(200, (), answers[0].decision or b""),
        late=lambda: Response(503, (), b"late"),
        unkept=lambda: Response(503, (), b"unkept"),
        failed=lambda error: Response(500, (), type(error).__name__.encode()),
        deadline=time.monotonic() + seconds,
        gone=lambda: gone,
    )


def batch(*messages: bytes, key: str = "", seconds: float = PATIENCE_S) -> Work[Response]:
    return Work(
        split=lambda: list(messages),
        respond=lambda answers: Response(200, (), b" ".join(a.decision or b"" for a in answers)),
        late=lambda: Response(503, (), b"late"),
        unkept=lambda: Response(503, (), b"unkept"),
        failed=lambda error: Response(500, (), type(error).__name__.encode()),
        deadline=time.monotonic() + seconds,
        key=key,
        large=True,
    )


def of(key: str, message: bytes) -> Work[Response]:
    made = work(message)
    made.key = key
    return made


def hold(coalescer: Coalescer[Response], scores: Scores, first: Work[Response]) -> None:
    """Let it be scored until `scores.go` is set; what comes meanwhile waits."""
    scores.go.clear()
    scores.called.clear()
    coalescer.submit(first)
    assert scores.called.wait(PATIENCE_S)


def submit(coalescer: Coalescer[Response], *works: Work[Response]) -> None:
    for one in works:
        coalescer.submit(one)


def test_what_waits_is_scored_together_in_order(coalescer: Coalescer[Response], scores: Scores) -> None:
    works = [work(b"%d" % i) for i in range(5)]
    hold(coalescer, scores, works[0])
    submit(coalescer, *works[1:])
    scores.go.set()
    assert [w.future.result(PATIENCE_S).body for w in works] == [b"0", b"1", b"2", b"3", b"4"]
    assert scores.rounds == [[b"0"], [b"1", b"2", b"3", b"4"]]


def test_a_fault_stays_with_the_request_that_triggers_it(coalescer: Coalescer[Response], scores: Scores) -> None:
    works = [work(message) for message in (b"first", b"a", b"trip", b"b")]
    hold(coalescer, scores, works[0])
    submit(coalescer, *works[1:])
    scores.go.set()
    assert [w.future.result(PATIENCE_S).body for w in works] == [b"first", b"a", b"ZeroDivisionError", b"b"]
    again = work(b"again")
    submit(coalescer, again)
    assert again.future.result(PATIENCE_S).body == b"again"


def test_the_late_the_cancelled_and_the_gone_are_not_scored(coalescer: Coalescer[Response], scores: Scores) -> None:
    works = [work(b"first"), work(b"late", 0.1), work(b"cancelled"), work(b"gone", gone=True)]
    hold(coalescer, scores, works[0])
    submit(coalescer, *works[1:])
    works[2].future.cancel()
    time.sleep(0.1)  # until the deadline of the late one is over
    scores.go.set()
    assert works[1].future.result(PATIENCE_S).body == b"late"
    coalescer.close()
    assert [message for taken in scores.rounds for message in taken] == [b"first"]


def test_more_than_may_wait_are_refused_at_once(coalescer: Coalescer[Response], scores: Scores) -> None:
    hold(coalescer, scores, work(b"first"))
    submit(coalescer, *[work(b"waits") for _ in range(4)])
    with pytest.raises(Full):
        coalescer.submit(work(b"too many"))


def overtaken(coalescer: Coalescer[Response], scores: Scores) -> Work[Response]:
    """It came while another request was scored, so that after that round two are waited for."""
    first, second = work(b"first"), work(b"second")
    hold(coalescer, scores, first)
    submit(coalescer, second)
    scores.go.set()
    first.future.result(PATIENCE_S)
    return second


def test_a_round_waits_for_those_who_were_just_answered(
    coalescer: Coalescer[Response], scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.coalescer.GATHER_SECONDS", PATIENCE_S)
    second, again = overtaken(coalescer, scores), work(b"again")
    submit(coalescer, again)
    again.future.result(PATIENCE_S)
    assert second.future.done()
    assert scores.rounds == [[b"first"], [b"second", b"again"]]


def test_nobody_waits_for_callers_who_do_not_come_back(
    coalescer: Coalescer[Response], scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    while coalescer._came >= 0.6:
        overtaken(coalescer, scores).future.result(PATIENCE_S)
    monkeypatch.setattr("serving.coalescer.GATHER_SECONDS", 10 * PATIENCE_S)
    overtaken(coalescer, scores).future.result(PATIENCE_S)
    assert set(map(tuple, scores.rounds)) == {(b"first",), (b"second",)}


def test_those_that_have_gone_make_room(coalescer: Coalescer[Response], scores: Scores) -> None:
    hold(coalescer, scores, work(b"first"))
    given_up, last = work(b"given up"), work(b"last")
    submit(coalescer, given_up, work(b"gone", gone=True), work(b"waits"), work(b"waits"))
    given_up.future.cancel()
    submit(coalescer, work(b"waits"), last)
    with pytest.raises(Full):
        coalescer.submit(work(b"too many"))
    scores.go.set()
    assert last.future.result(PATIENCE_S).body == b"last"
    assert scores.rounds == [[b"first"], [b"waits", b"waits", b"waits", b"last"]]


def test_a_thread_that_was_idle_does_not_wait_for_company(coalescer: Coalescer[Response], scores: Scores) -> None:
    many = [work(b"many") for _ in range(4)]
    hold(coalescer, scores, work(b"first"))
    submit(coalescer, *many)
    scores.go.set()
    assert {one.future.result(PATIENCE_S).body for one in many} == {b"many"}
    time.sleep(0.1)  # idle for long
    alone = work(b"alone")
    submit(coalescer, alone)
    assert alone.future.result(PATIENCE_S).body == b"alone"
    assert scores.rounds[-1] == [b"alone"]


class Keeps:
    """Keeps receipts once it may, remembers the rounds, and fails while it is told to."""

    def __init__(self) -> None:
        self.rounds: list[list[bytes]] = []
        self.called, self.go = threading.Event(), threading.Event()
        self.fails = False

    def __call__(self, answered: list[Answered]) -> None:
        self.called.set()
        self.go.wait(PATIENCE_S)
        self.rounds.append([message for one in answered for message in one.messages])
        if self.fails:
            raise DeliveryError("the disk is full")


def test_no_decision_goes_out_before_its_receipt_is_kept_nor_without(scores: Scores) -> None:
    keeps = Keeps()
    keeping = Coalescer[Response](Deciding(scores, keeps), time.monotonic, most_waiting=4, round_size=10)
    first = work(b"first")
    keeping.submit(first)
    assert keeps.called.wait(PATIENCE_S)
    assert not first.future.done(), "answered before its receipt was kept"
    waiting = [work(b"a"), work(b"b"), work(b"refuse")]
    submit(keeping, *waiting)
    keeps.go.set()
    assert first.future.result(PATIENCE_S).body == b"first"
    assert [w.future.result(PATIENCE_S).body for w in waiting] == [b"a", b"b", b""]
    assert keeps.rounds == [[b"first"], [b"a", b"b"]], "one call for all receipts of a round; a refusal has none"
    keeps.fails = True
    failing = [work(b"c"), work(b"refuse")]
    submit(keeping, *failing)
    assert sorted(w.future.result(PATIENCE_S).body for w in failing) == [b"", b"unkept"]
    keeping.close()


def test_a_batch_goes_on_in_the_next_rounds_and_keeps_no_other_key_waiting(
    coalescer: Coalescer[Response], scores: Scores
) -> None:
    numbers = [b"%d" % i for i in range(35)]
    hold(coalescer, scores, of("first", b"first"))
    large, small = batch(*numbers, key="many"), [of("few", b"a"), of("few", b"b"), of("other", b"c")]
    submit(coalescer, large, *small)
    scores.go.set()
    assert large.future.result(PATIENCE_S).body == b" ".join(numbers), "whole, and in order"
    assert [w.future.result(PATIENCE_S).body for w in small] == [b"a", b"b", b"c"]
    assert all(len(taken) <= 10 for taken in scores.rounds)
    assert {b"a", b"b", b"c"} <= set(scores.rounds[1]), "they are in the first round after they came"
    assert sum(m in numbers for m in scores.rounds[1]) == 7, "and the batch has what they leave"


def test_keys_share_rounds_however_much_each_sends(coalescer: Coalescer[Response], scores: Scores) -> None:
    hold(coalescer, scores, of("first", b"first"))
    greedy = [batch(*[b"x"] * 40, key="greedy") for _ in range(3)]
    submit(coalescer, *greedy, batch(*[b"y"] * 20, key="modest"))
    scores.go.set()
    for one in greedy:
        one.future.result(PATIENCE_S)
    shares = [(taken.count(b"x"), taken.count(b"y")) for taken in scores.rounds[1:]]
    assert shares[:4] == [(5, 5)] * 4
    assert sum(x for x, _ in shares) == 120


def test_a_fault_in_a_later_part_of_a_batch_fails_it_once_and_nothing_else(
    coalescer: Coalescer[Response], scores: Scores
) -> None:
    hold(coalescer, scores, work(b"first"))
    failing = batch(*[b"x"] * 12, b"trip", *[b"x"] * 30, key="a")
    good = batch(*[b"%d" % i for i in range(25)], key="b")
    submit(coalescer, failing, good)
    scores.go.set()
    assert failing.future.result(PATIENCE_S).body == b"ZeroDivisionError"
    assert good.future.result(PATIENCE_S).body == b" ".join(b"%d" % i for i in range(25))
    after = work(b"after")
    submit(coalescer, after)
    assert after.future.result(PATIENCE_S).body == b"after"
    assert sum(taken.count(b"x") for taken in scores.rounds) < 42, "the rest of it is not scored"


def test_an_empty_batch_and_one_past_its_deadline_are_answered(coalescer: Coalescer[Response], scores: Scores) -> None:
    hold(coalescer, scores, work(b"first"))
    empty, late = batch(key="a"), batch(*[b"x"] * 30, key="b", seconds=-1)
    submit(coalescer, empty, late)
    scores.go.set()
    assert empty.future.result(PATIENCE_S).body == b""
    assert late.future.result(PATIENCE_S).body == b"late"
    assert not any(b"x" in taken for taken in scores.rounds)


def test_a_request_that_fails_in_one_of_two_parts_of_a_round_is_answered_once(
    coalescer: Coalescer[Response], scores: Scores
) -> None:
    """One key leaves room in the round, which the other gets as a second part."""
    hold(coalescer, scores, work(b"first"))
    failing, single = batch(b"trip", *[b"x"] * 30, key="a"), of("b", b"single")
    submit(coalescer, failing, single)
    scores.go.set()
    assert failing.future.result(PATIENCE_S).body == b"ZeroDivisionError"
    assert single.future.result(PATIENCE_S).body == b"single"
    after = work(b"after")
    submit(coalescer, after)
    assert after.future.result(PATIENCE_S).body == b"after"


class Named:
    """Answers with a name in front, keeps what it decided, and waits until `go` is set."""

    def __init__(self, name: bytes) -> None:
        self.name, self.kept = name, list[bytes]()
        self.called, self.go = threading.Event(), threading.Event()

    def __call__(self, messages: Sequence[bytes]) -> list[Answer]:
        self.called.set()
        assert self.go.wait(PATIENCE_S)
        return [Answer(decision=self.name + message) for message in messages]

    def keep(self, answered: Sequence[Answered]) -> None:
        self.kept += [answer.decision or b"" for one in answered for answer in one.answers]


def test_a_batch_that_began_before_a_change_ends_with_the_bundle_with_which_it_began() -> None:
    old, new = Named(b"old "), Named(b"new ")
    rounds = Coalescer[Response](Deciding(old, old.keep), time.monotonic, most_waiting=9, round_size=2)
    long, short, later = batch(*[b"%d" % i for i in range(5)], key="a"), of("b", b"short"), of("b", b"later")
    submit(rounds, long)
    assert old.called.wait(PATIENCE_S)  # two of its five messages are in the first round
    rounds.change(Deciding(new, new.keep))
    submit(rounds, short, later)
    old.go.set()
    new.go.set()
    assert long.future.result(PATIENCE_S).body == b" ".join(b"old %d" % i for i in range(5))
    assert [one.future.result(PATIENCE_S).body for one in (short, later)] == [b"new short", b"new later"]
    rounds.close()
    assert old.kept == [b"old %d" % i for i in range(5)]
    assert new.kept == [b"new short", b"new later"]

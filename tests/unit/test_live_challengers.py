"""Challengers beside a live door: within their budget, and what goes wrong with one is counted under it alone."""

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from features.errors import DeliveryError
from scoring.message import MessageScorer
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from serving.challengers import Challenger, LiveChallengers, behind, beside
from serving.fair_queue import Answered
from tests.receipt_parts import encoded
from tests.waiting import wait_until


class Told:
    """What was counted and said."""

    def __init__(self) -> None:
        self.counts, self.said = Counter[tuple[str, str]](), list[dict[str, object]]()

    def challenged(self, bundle_id: str, outcome: str, count: int) -> None:
        self.counts[bundle_id, outcome] += count

    def write(self, event: str, **fields: object) -> None:
        self.said.append({"event": event, **fields})

    def of(self, one: Challenger) -> dict[str, int]:
        return {outcome: count for (bundle, outcome), count in self.counts.items() if bundle == one.bundle_id}


@pytest.fixture(scope="module")
def other(rival: Path) -> Scorer:
    return Scorer.open(rival)


@pytest.fixture(scope="module")
def request_of_three(scorer: Scorer) -> Answered:
    example: dict[str, Any] = example_application(scorer.bundle.spec)
    bodies = [encoded(example, application_id="A0"), b"{}", encoded(example, application_id="A2")]
    return Answered("r", bodies, MessageScorer(scorer).answer(bodies))


def test_receipts_are_of_what_was_decided_in_its_place(
    scorer: Scorer, other: Scorer, request_of_three: Answered
) -> None:
    kept: list[Answered] = []
    one, told = Challenger(other, kept.extend), Told()
    live = LiveChallengers(lambda: [one], 1.0, told, told)
    live.offer([request_of_three], scorer)
    assert wait_until(lambda: sum(told.of(one).values()) == 2)
    live.close()
    (answers,) = [request.answers for request in kept]
    assert [answer.decision is not None for answer in answers] == [True, False, True]
    alone = MessageScorer(other).answer(list(request_of_three.messages))
    assert [a.decision for a in answers] == [a.decision for a in alone]
    assert [a.features for a in answers] == [a.features for a in alone]
    assert json.loads(answers[0].decision or b"")["bundle_id"] == one.bundle_id


def test_one_that_fails_is_counted_and_the_others_go_on(
    scorer: Scorer, other: Scorer, request_of_three: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unkept(_: object) -> None:
        raise DeliveryError("the disk is full")

    class Broken(Challenger):
        @property
        def bundle_id(self) -> str:
            return "broken"

        def decide(self, *_: object) -> Any:
            raise ZeroDivisionError

    told, good, full, broken = Told(), Challenger(other), Challenger(other, unkept), Broken(other)
    monkeypatch.setattr(Challenger, "bundle_id", property(lambda self: f"{self.keep}"))
    live = LiveChallengers(lambda: [broken, full, good], 1.0, told, told)
    for _ in range(3):
        live.offer([request_of_three], scorer)
    assert wait_until(lambda: told.of(broken) == told.of(full) == {"failed": 6})
    assert wait_until(lambda: sum(told.of(good).values()) == 6)
    assert "failed" not in told.of(good)
    live.close()
    assert {one["message"] for one in told.said} == {"ZeroDivisionError", "the disk is full"}
    assert len(told.said) == 2, "each reason is said once"


def test_what_there_is_no_room_for_is_dropped_and_nobody_waits(
    scorer: Scorer, other: Scorer, request_of_three: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, go = threading.Event(), threading.Event()

    class Slow(Challenger):
        def decide(self, *arguments: Any) -> Any:
            going.set()
            go.wait()
            return super().decide(*arguments)

    monkeypatch.setattr(behind, "MOST_WAITING", 6)
    one, told = Slow(other), Told()
    live = LiveChallengers(lambda: [one], 1.0, told, told)
    live.offer([request_of_three], scorer)
    assert going.wait(60)
    began = time.monotonic()
    for _ in range(100):
        live.offer([request_of_three], scorer)
    assert time.monotonic() - began < 30, "the one that decides stands still; who offers does not wait for it"
    assert told.of(one) == {"dropped": 2 * 97}
    go.set()
    assert wait_until(lambda: sum(told.of(one).values()) == 202)
    live.close()
    live.offer([request_of_three], scorer)
    assert told.of(one)["dropped"] == 2 * 98, "after the end nothing is taken"


def test_who_offers_is_never_told_of_a_fault(
    scorer: Scorer, other: Scorer, request_of_three: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    one, told = Challenger(other), Told()
    live = LiveChallengers(lambda: [one], 0.5, told, told)
    monkeypatch.setattr(beside, "sampled", fail)
    live.offer([request_of_three], scorer)
    assert told.of(one) == {"failed": 3}
    live.close()


def test_the_champion_is_no_challenger_of_itself(scorer: Scorer, other: Scorer, request_of_three: Answered) -> None:
    told, one = Told(), Challenger(other)
    live = LiveChallengers(lambda: [one], 1.0, told, told)
    live.offer([request_of_three], other)  # it was promoted
    live.offer([request_of_three], scorer)
    assert wait_until(lambda: sum(told.of(one).values()) == 2)
    live.close()
    assert sum(told.of(one).values()) == 2

"""Challengers within a batch of the stream: what they decide is there in time, or is left out and counted."""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from history import Histories, Limits, create_store
from receipts.frame import SHADOW
from receipts.lines import receipt_frames
from recipes.dataset import Dataset
from scoring.message import Answer, MessageScorer
from scoring.message.from_tables import to_messages
from scoring.message.schema import example_application
from scoring.scorer import Scorer
from serving.challengers import Challenger, Followed, Shadows, WithinBatch, within
from stream.client.records import Batch, Message
from stream.position.marks import claims_of_worker
from stream.routes import Routes
from tests.receipt_parts import encoded
from tests.unit.test_history_bad_inputs import consume
from tests.variants import variant

LONG_S = 60.0


class Said:
    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def write(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})


@pytest.fixture(scope="module")
def other(rival: Path) -> Scorer:
    return Scorer.open(rival)


@pytest.fixture(scope="module")
def bodies(scorer: Scorer) -> list[bytes]:
    example: dict[str, Any] = example_application(scorer.bundle.spec)
    good = [encoded(example, application_id=f"A{i}", customer_id=f"C{i}") for i in range(7)]
    return [*good[:3], b"{}", *good[3:]]


@pytest.fixture(scope="module")
def answers(scorer: Scorer, bodies: list[bytes]) -> list[Answer]:
    return MessageScorer(scorer).answer(bodies)


class Broken(Challenger):
    def decide(self, *_: object) -> Any:
        raise ZeroDivisionError


class Standing(Challenger):
    """One that stands still until it may go on."""

    go = threading.Event()

    def decide(self, *arguments: Any) -> Any:
        self.go.wait()
        return super().decide(*arguments)


def decided(
    of: Sequence[Challenger], bodies: list[bytes], answers: list[Answer], champion: Scorer, **more: Any
) -> list[Shadows]:
    values: dict[str, Any] = {"share": 1.0, "grace_s": LONG_S, "log": Said()} | more
    return WithinBatch(lambda: of, **values).decide(bodies, answers, 0.0, champion)


def test_it_decides_as_alone_what_the_champion_has_decided(
    scorer: Scorer, other: Scorer, bodies: list[bytes], answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(within, "PIECE", 3)
    one, champion = Challenger(other), Challenger(scorer)
    (made,) = decided([champion, one], bodies, answers, scorer)
    alone = MessageScorer(other).answer(bodies)
    assert dict(made.answers) == {at: a for at, a in enumerate(alone) if a.decision is not None}
    assert 3 not in made.answers, "what the champion refused"
    assert sum(made.counts.values()) == made.counts["decided"] + made.counts["changed"] == 7


def test_one_that_fails_is_counted_and_the_others_decide(
    scorer: Scorer, other: Scorer, bodies: list[bytes], answers: list[Answer]
) -> None:
    said = Said()
    made = decided([Broken(other), Challenger(other)], bodies, answers, scorer, log=said)
    assert [sum(one.counts.values()) for one in made] == [7, 7]
    assert (made[0].counts, made[0].answers) == ({"failed": 7}, {})
    assert len(made[1].answers) == 7
    assert [line["message"] for line in said.lines] == ["ZeroDivisionError"]


def test_one_that_stands_still_holds_up_one_batch_for_the_bound_and_no_further_one(
    scorer: Scorer, other: Scorer, bodies: list[bytes], answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(within, "PIECE", 3)
    one = Standing(other)
    beside = WithinBatch(lambda: [one], 1.0, 0.2, Said())
    began = time.monotonic()
    (made,) = beside.decide(bodies, answers, 0.1, scorer)
    waited = time.monotonic() - began
    assert waited >= 0.3, "the grace and the time that scoring took"
    assert (made.counts, made.answers) == ({"dropped": 7}, {})
    for _ in range(200):
        (made,) = beside.decide(bodies, answers, 60.0, scorer)
        assert made.counts == {"dropped": 7}
    assert time.monotonic() - began < 30
    one.go.set()
    while not made.answers:
        (made,) = beside.decide(bodies, answers, LONG_S, scorer)
    assert sum(made.counts.values()) == len(made.answers) == 7


def test_what_is_there_in_time_is_kept(
    scorer: Scorer, other: Scorer, bodies: list[bytes], answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slower(Challenger):
        def decide(self, *arguments: Any) -> Any:
            time.sleep(0.5)
            return super().decide(*arguments)

    monkeypatch.setattr(within, "PIECE", 1)
    (made,) = decided([Slower(other)], bodies, answers, scorer, grace_s=1.2)
    assert 0 < len(made.answers) < 7
    assert made.counts["dropped"] == 7 - len(made.answers)


def test_a_share_of_the_customers(scorer: Scorer, other: Scorer, bodies: list[bytes], answers: list[Answer]) -> None:
    (every,) = decided([Challenger(other)], bodies, answers, scorer)
    (some,) = decided([Challenger(other)], bodies, answers, scorer, share=0.5)
    assert 0 < len(some.answers) < 7
    assert some.answers.items() <= every.answers.items()
    assert sum(some.counts.values()) == len(some.answers)


def batch_of(bodies: list[bytes]) -> Batch:
    return Batch([Message("in", 0, i, b"k", body, (), 0) for i, body in enumerate(bodies)], None, {0: len(bodies)})


def test_its_receipts_settle_nothing_and_follow_the_receipts_of_decisions(
    scorer: Scorer, other: Scorer, bodies: list[bytes], answers: list[Answer]
) -> None:
    """A broker may lose the champion's receipt; a challenger's must not pass for it."""
    (made,) = decided([Challenger(other)], bodies, answers, scorer)
    routes = Routes(output="out", dead_letters="dead", bundle_id=scorer.bundle.bundle_id, group="g", receipts="r")
    batch = batch_of(bodies)
    plain = routes.records(batch, answers, 1.8e9)
    records = routes.shadows(batch, [made], 1.8e9)
    assert [record.topic for record in records] == ["r"] * 7
    claim = claims_of_worker("in", "g")

    def read(record: Any, at: int) -> Message:
        return Message(record.topic, record.partition, at, record.key, b"".join(record.parts), record.headers, 0)

    assert all(claim(read(record, 0)) is not None for record in plain if record.topic == "r")
    assert all(claim(read(record, 0)) is None for record in records)
    specs = {one.bundle.bundle_id: one.bundle.spec for one in (scorer, other)}
    ((bundle_id, frame),) = receipt_frames([read(r, 0).value or b"" for r in records], specs.__getitem__, "stream")
    assert bundle_id == other.bundle.bundle_id
    assert frame["kind"].to_list() == [SHADOW] * 7
    assert frame["offset"].to_list() == [0, 1, 2, 4, 5, 6, 7]
    decisions = {r.partition: r for r in plain if r.topic == "out"}
    assert [json.loads(r.value or b"")["bundle_id"] for r in decisions.values()] == [scorer.bundle.bundle_id]
    assert routes.shadows(batch, [], 1.8e9) == []
    halves = {(0, 0): read(plain[0], 0), (0, 1): read(plain[1], 1)._replace(topic="r")}
    again = routes.shadows(batch._replace(halves=halves), [made], 1.8e9)
    assert len(again) == 6, "where the receipt is there, the challenger's is too"
    assert Routes(output="o", dead_letters="d", bundle_id="b", group="g").shadows(batch, [made], 1.8e9) == []


def test_links_of_challengers_are_followed_and_what_cannot_stand_beside_is_left_out(
    scorer: Scorer, other: Scorer, bundle: Path, rival: Path, tmp_path: Path
) -> None:
    said, closed = Said(), []

    def opened(folder: Path) -> Scorer:
        return {bundle: scorer, rival: other}[folder]

    link, second = tmp_path / "next", tmp_path / "second"
    link.symlink_to(bundle)
    second.symlink_to(tmp_path / "nowhere")

    def make(one: Scorer) -> Challenger:
        return Challenger(one, close=lambda: closed.append(one))

    beside = Followed([link, second], scorer, opened, make, said)
    assert beside() == []
    assert [line["event"] for line in said.lines] == ["challenger_left_out"] * 2
    assert "decides already" in str(said.lines[0]["message"])
    (tmp_path / "part").symlink_to(rival)
    (tmp_path / "part").replace(link)
    beside.watches[0].look()
    assert [one.bundle_id for one in beside()] == [rival.name]
    (tmp_path / "part").symlink_to(rival)
    (tmp_path / "part").replace(second)
    beside.watches[1].look()
    assert [one.bundle_id for one in beside()] == [rival.name], "one bundle decides once"
    assert "decides already" in str(said.lines[-1]["message"])


def test_the_champion_of_before_stands_beside_the_next_one_at_once(scorer: Scorer, other: Scorer, bundle: Path) -> None:
    beside = Followed([bundle], scorer, lambda _: scorer, Challenger, Said())
    beside.watches[0].look()
    assert beside() == [], "nobody stands beside himself"
    beside.champion = other
    beside.watches[0].look()
    assert [one.bundle_id for one in beside()] == [bundle.name]


def test_what_a_store_gave_the_champion_is_what_a_challenger_decides_on(
    scorer: Scorer, other: Scorer, bundle: Path, dataset: Dataset, tmp_path: Path
) -> None:
    """Also one that computes features of its own, and although newer events have come meanwhile."""
    spec = scorer.bundle.spec

    def narrower(text: str) -> str:
        return text.replace("range = [0, 150]", "range = [0, 20]", 1)

    strict = Scorer.open(variant(bundle, tmp_path, spec=narrower))
    full = [m.body for m in to_messages(dataset.applications.head(40), dataset.events, spec)]
    store = create_store(str(tmp_path / "store"), spec)
    consume(store, dataset.events)
    live = MessageScorer(scorer, look_up=Histories(store, spec, Limits()))
    bare = [json.dumps({k: v for k, v in json.loads(body).items() if k != "events"}).encode() for body in full]
    answers = live.answer(bare)
    consume(store, dataset.events.with_columns(amount=pl.lit(999_999)))
    for one in (other, strict):
        (made,) = decided([Challenger(one)], bare, answers, scorer)
        alone = dict(enumerate(MessageScorer(one).answer(full)))
        assert {i: a.decision for i, a in made.answers.items()} == {
            i: a.decision for i, a in alone.items() if answers[i].decision is not None
        }
        assert len(made.answers) > len(full) // 2
    store.close()

"""Applications without their events: REST with a history store answers with the same bits as with them."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np
import polars as pl
import pytest

from features.errors import DeliveryError, SettingsError
from history import Change, Erasure, Histories, HistoryStore, Limits, Places, clean, create_store, open_store
from receipts.lines import line_head, receipt_line
from recipes.dataset import Dataset
from scoring.message.decoder import Refusal
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import Answer, MessageScorer
from scoring.message.refusal_codes import HISTORY_EXPECTED
from scoring.scorer import Scorer
from stream.client.errors import PersonNeededError
from stream.client.records import Message
from stream.history.histories import WATERMARK, FromStore
from tests.conftest import PROJECT, Credit
from tests.live_doors import Metrics
from tests.rest_door import FRAMEWORKS, running


def bare(message: bytes) -> bytes:
    return json.dumps({k: v for k, v in json.loads(message).items() if k != "events"}).encode()


@pytest.fixture(scope="module")
def store(dataset: Dataset, training_folder: Path, credit: Credit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    dataset.events.write_parquet(folder / "events.parquet")
    made = credit("history", "init", "--spec", training_folder / "spec.toml", "--store", folder / "store")
    assert made.returncode == 0, made.stderr
    done = credit("history", "load", folder / "events.parquet", "--store", folder / "store")
    assert done.returncode == 0, done.stderr
    again = credit("history", "load", folder / "events.parquet", "--store", folder / "store")
    assert "0 written" in again.stdout
    return folder / "store"


@pytest.mark.process
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_rest_answers_without_events_as_with_them(
    framework: str, store: Path, dataset: Dataset, scorer: Scorer, tmp_path: Path
) -> None:
    messages = [m.body for m in to_messages(dataset.applications.head(40), dataset.events, scorer.bundle.spec)]
    expected = MessageScorer(scorer).answer(messages)
    assert any(answer.refusal for answer in expected)
    with running(scorer.bundle.path, tmp_path, framework, "--history", store) as door:
        assert door.ask("GET", "/readyz").status == 200
        text = door.ask("GET", "/metrics").body.decode()
        assert "credit_history_lag" not in text, "nobody fills this store"
        for message, answer in zip(messages, expected, strict=True):
            for body in (bare(message), message):
                reply = door.score(body)
                refused = None if answer.refusal is None else answer.refusal.code
                assert reply.body == answer.decision or reply.json["code"] == refused
                looked_up = refused is None and body != message
                assert ("history-watermark" in reply.headers) == looked_up
        seen = Metrics(door.ask("GET", "/metrics").body.decode())
        assert seen["credit_history_customers_total"] > seen["credit_history_unknown_customers_total"] == 0
        batch = door.ask("POST", "/v1/score/batch", b"[" + b",".join(map(bare, messages)) + b"]")
    with contextlib.closing(open_store(str(store))) as opened:
        positions = opened.state().positions
    assert json.loads(batch.headers["history-watermark"]) == {"topic": "", "topic_id": "", "positions": positions}


@dataclass
class Once:
    """A message that was decided on ten events, after which the store got more."""

    store: HistoryStore
    messages: MessageScorer
    message: bytes
    first: Answer
    customer: str

    @property
    def watermark(self) -> bytes:
        assert self.first.history is not None
        return self.first.history.watermark

    @property
    def receipt(self) -> Message:
        place = b'{"topic":"in","partition":0,"offset":0}'
        return self.record(receipt_line(line_head("stream", 0.0), place, self.message, self.first))

    @property
    def decision(self) -> Message:
        return self.record(self.first.decision)

    def record(self, value: bytes | None) -> Message:
        bundle_id = self.messages.scorer.bundle.bundle_id.encode()
        return Message("t", 0, 0, b"", value, [(WATERMARK, self.watermark), ("bundle_id", bundle_id)], 0)

    def erase(self) -> None:
        state = self.store.state()
        self.store.apply(Change(before=state, after=state, erasures=[(self.customer, Erasure({"0": 5}, 0))]))


@pytest.fixture
def once(scorer: Scorer, dataset: Dataset, tmp_path: Path) -> Iterator[Once]:
    store = create_store(str(tmp_path / "store"), scorer.bundle.spec)
    customer = dataset.applications["customer_id"][100]
    events = dataset.events.filter(pl.col("customer_id") == customer)
    messages = MessageScorer(scorer, None, Histories(store, scorer.bundle.spec, Limits()))
    (message,) = [
        bare(m.body)
        for m in to_messages(dataset.applications.filter(customer_id=customer)[-1:], events, scorer.bundle.spec)
    ]
    assert [a.refusal.code for a in messages.answer([message]) if a.refusal] == ["history_incomplete"]
    consume(store, events.head(10), 0)
    (first,) = messages.answer([message])
    consume(store, events.tail(-10), 10)
    (newer,) = messages.answer([message])
    assert newer.decision != first.decision
    yield Once(store, messages, message, first, customer)
    store.close()


def same(once: Once, again: Answer | None) -> bool:
    assert again is not None
    assert again.history is not None
    return (again.decision, again.history.watermark) == (once.first.decision, once.watermark)


def test_a_message_is_decided_again_on_what_was_seen_then_or_on_its_receipt(once: Once) -> None:
    from_store = FromStore(once.messages, 0, lambda: False)
    assert all(same(once, from_store.again(once.message, half)) for half in (once.decision, once.receipt))
    once.erase()
    assert same(once, from_store.again(once.message, once.receipt))
    with pytest.raises(PersonNeededError, match="receipt"):
        from_store.again(once.message, once.decision)
    assert from_store.again(once.message, once.decision._replace(headers=())) is None


def test_what_an_earlier_decision_saw_comes_from_the_store_then_from_its_receipt_else_a_person_is_needed(
    once: Once,
) -> None:
    from_store = FromStore(once.messages, 0, lambda: False)

    def before(decision: Message, *receipts: Message | None) -> Answer | None:
        (answer,) = from_store.before([once.message], [decision], lambda _: list(receipts))
        return answer

    other = json.dumps(json.loads(once.first.decision or b"{}") | {"credit_score": 1}).encode()
    assert same(once, before(once.decision)), "the store holds it"
    assert before(once.record(other)) is None, "somebody else wrote it"
    own = once.decision
    for mark in (b"", b"x", b"{}", b"\xff", None):
        assert before(own._replace(headers=[(WATERMARK, mark), *own.headers[1:]])) is None
    once.erase()
    again = before(once.decision, once.receipt)
    assert same(once, again), "the receipt holds it"
    assert again is not None
    assert again.history is not None
    assert once.first.history is not None
    assert json.loads(again.history.events()) == json.loads(once.first.history.events()), "for the next receipt"
    for receipt in (None, once.record(b"{}"), once.record(None)):
        with pytest.raises(PersonNeededError, match="no longer holds what this decision saw"):
            before(once.decision, receipt)
    headers = [(WATERMARK, once.watermark), ("bundle_id", b"another")]
    assert before(once.decision._replace(headers=headers)) is None, "another bundle decides on what is known now"


def test_a_store_that_went_back_is_waited_for(once: Once) -> None:
    """A copy that was restored, or a server's replica that was behind: it will read the same events again."""
    from_store = FromStore(once.messages, 0, lambda: False)
    state = once.store.state()
    once.store.apply(Change(before=state, after=msgspec.structs.replace(state, positions={"0": 9})))
    with pytest.raises(DeliveryError, match="behind"):
        from_store.before([once.message], [once.decision], lambda _: [once.receipt])


def test_a_store_that_cannot_be_read_is_no_lost_history(once: Once) -> None:
    """A server that restarts in this moment: nothing is decided, no person is asked for."""
    lost = DeliveryError("away")

    def away(_names: object) -> NoReturn:
        raise lost

    once.store.read = away  # type: ignore[method-assign, assignment]
    from_store = FromStore(once.messages, 0, lambda: False)
    with pytest.raises(DeliveryError, match="behind"):
        from_store.again(once.message, once.decision)
    with pytest.raises(DeliveryError, match="behind"):
        from_store.before([once.message], [once.decision], lambda _: [once.receipt])


def consume(store: HistoryStore, events: pl.DataFrame, offset: int) -> None:
    before = store.state()
    offsets = np.arange(offset, offset + events.height)
    zeros = np.zeros(events.height, np.int64)
    cleaned = clean(events, Places(zeros, offsets, zeros), store.settings.spec, before.kinds)
    after = msgspec.structs.replace(
        before, positions={**before.positions, "0": offset + events.height}, kinds=cleaned.kinds, complete_since=0
    )
    store.apply(Change(before=before, after=after, events=cleaned.events))


def test_a_store_that_is_behind_is_waited_for_and_a_message_may_ask_for_an_event(
    scorer: Scorer, good: bytes, tmp_path: Path
) -> None:
    store = create_store(str(tmp_path / "store"), scorer.bundle.spec)
    state = store.state()
    store.apply(Change(before=state, after=msgspec.structs.replace(state, complete_since=0, positions={"0": 5})))
    now = [1000.0]
    counted: list[tuple[int, int]] = []
    histories = Histories(store, scorer.bundle.spec, Limits(), lambda: now[0], lambda *some: counted.append(some))
    assert histories.lag() is None, "nobody fills it yet"
    messages = MessageScorer(scorer, None, histories)
    store.beat(1000.0, {"0": 7})
    asking = [
        json.dumps(json.loads(bare(good)) | {"history": {"partition": 0, "offset": at}}).encode() for at in (4, 5)
    ]
    seen, unseen = messages.answer(asking)
    assert seen.decision
    assert unseen.refusal == Refusal.of("history_behind", "/history")
    assert counted == [(1, 1)]
    now[0] += 31
    assert histories.lag() == (2, 31)
    assert histories.behind()
    (late,) = messages.answer([bare(good)])
    assert late.refusal == Refusal.of("history_behind")
    assert messages.answer([good])[0].decision
    with pytest.raises(DeliveryError, match="behind"):
        FromStore(messages, 0, lambda: False).answer([bare(good)])
    with pytest.raises(SettingsError, match="another spec"):
        Histories(store, replace(scorer.bundle.spec, name="other"), Limits())
    store.close()


def test_without_a_store_events_are_required(good: bytes, scorer: Scorer) -> None:
    (answer,) = MessageScorer(scorer).answer([bare(good)])
    assert answer.refusal is not None
    assert answer.refusal.code == "field_missing"


def test_the_documented_codes_are_those_of_the_product() -> None:
    page = (PROJECT / "docs/history.md").read_text()
    assert all(f"| `{code}` | {text} |\n" in page for code, text in HISTORY_EXPECTED.items())

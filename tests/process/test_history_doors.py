"""Applications without their events: REST with a history store answers with the same bits as with them."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

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
from scoring.message.message_scorer import MessageScorer
from scoring.message.refusal_codes import HISTORY_EXPECTED
from scoring.scorer import Scorer
from stream.client.errors import PersonNeededError
from stream.client.records import Message
from stream.history.histories import WATERMARK, FromStore
from tests.conftest import PROJECT, Credit
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
        for message, answer in zip(messages, expected, strict=True):
            for body in (bare(message), message):
                reply = door.score(body)
                refused = None if answer.refusal is None else answer.refusal.code
                assert reply.body == answer.decision or reply.json["code"] == refused
                looked_up = refused is None and body != message
                assert ("history-watermark" in reply.headers) == looked_up
        batch = door.ask("POST", "/v1/score/batch", b"[" + b",".join(map(bare, messages)) + b"]")
    with contextlib.closing(open_store(str(store))) as opened:
        positions = opened.state().positions
    assert json.loads(batch.headers["history-watermark"]) == {"topic": "", "topic_id": "", "positions": positions}


def test_a_message_is_decided_again_on_what_was_seen_then_or_on_its_receipt(
    scorer: Scorer, dataset: Dataset, tmp_path: Path
) -> None:
    store = create_store(str(tmp_path / "store"), scorer.bundle.spec)
    customer = dataset.applications["customer_id"][100]
    events = dataset.events.filter(pl.col("customer_id") == customer)
    messages = MessageScorer(scorer, None, Histories(store, scorer.bundle.spec, Limits()))
    (message,) = [
        bare(m.body)
        for m in to_messages(dataset.applications.filter(customer_id=customer)[-1:], events, scorer.bundle.spec)
    ]
    from_store = FromStore(messages, 0, lambda: False)
    assert [a.refusal.code for a in messages.answer([message]) if a.refusal] == ["history_incomplete"]
    consume(store, events.head(10), 0)
    (first,) = from_store.answer([message])
    assert first.history is not None
    receipt = receipt_line(line_head("stream", 0.0), b'{"topic":"in","partition":0,"offset":0}', message, first)
    headers = [(WATERMARK, first.history.watermark)]
    consume(store, events.tail(-10), 10)
    (newer,) = from_store.answer([message])
    assert newer.decision != first.decision
    halves = [Message("t", 0, 0, b"", value, headers, 0) for value in (first.decision, receipt)]
    for half in halves:
        again = from_store.again(message, half)
        assert again is not None
        assert again.history is not None
        assert (again.decision, again.history.watermark) == (first.decision, first.history.watermark)
    state = store.state()
    erasure = Erasure({"0": 5}, 0)
    store.apply(Change(before=state, after=state, erasures=[(customer, erasure)]))
    again = from_store.again(message, halves[1])
    assert again is not None
    assert again.decision == first.decision
    with pytest.raises(PersonNeededError, match="receipt"):
        from_store.again(message, halves[0])
    assert from_store.again(message, halves[0]._replace(headers=())) is None
    store.close()


def consume(store: HistoryStore, events: pl.DataFrame, offset: int) -> None:
    before = store.state()
    offsets = np.arange(offset, offset + events.height)
    zeros = np.zeros(events.height, np.int64)
    cleaned = clean(events, Places(zeros, offsets, zeros), store.settings.spec, before.kinds)
    after = msgspec.structs.replace(
        before, positions={"0": offset + events.height}, kinds=cleaned.kinds, complete_since=0
    )
    store.apply(Change(before=before, after=after, events=cleaned.events))


def test_a_store_that_is_behind_is_waited_for_and_a_message_may_ask_for_an_event(
    scorer: Scorer, good: bytes, tmp_path: Path
) -> None:
    store = create_store(str(tmp_path / "store"), scorer.bundle.spec)
    state = store.state()
    store.apply(Change(before=state, after=msgspec.structs.replace(state, complete_since=0, positions={"0": 5})))
    now = [1000.0]
    histories = Histories(store, scorer.bundle.spec, Limits(), lambda: now[0])
    messages = MessageScorer(scorer, None, histories)
    store.beat(1000.0, {})
    asking = [
        json.dumps(json.loads(bare(good)) | {"history": {"partition": 0, "offset": at}}).encode() for at in (4, 5)
    ]
    seen, unseen = messages.answer(asking)
    assert seen.decision
    assert unseen.refusal == Refusal.of("history_behind", "/history")
    assert histories.counts.unknown >= 1
    now[0] += 31
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

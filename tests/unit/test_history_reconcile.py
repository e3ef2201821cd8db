"""Last night's batch against live decisions from a history store: each difference has its name, or is a defect."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from history import (
    CONTROL,
    Change,
    Erasure,
    Histories,
    HistoryStore,
    Limits,
    Loading,
    Places,
    Void,
    clean,
    create_store,
    load_events,
    open_store,
)
from receipts.lines import line_head, receipt_frames, receipt_line
from receipts.log.chain import Chain
from receipts.pii import Pseudonymiser
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import Answer, MessageScorer
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.process.test_history_doors import bare

LATE, ON_TIME, VOIDED, ERASED, OLD = (f"C7-00000{n}" for n in (11, 12, 13, 14, 15))


@dataclass
class Live:
    """A store that is filled from one partition, a door that decides from it, and the log of its receipts."""

    store: HistoryStore
    scorer: Scorer
    log: Path
    lines: list[bytes]

    def consume(self, events: pl.DataFrame, **more: Any) -> None:
        """Take events, and what of the control topic is given, as the consumer does."""
        before = self.store.state()
        first = before.positions.get("0", 0)
        offsets, zeros = np.arange(first, first + events.height), np.zeros(events.height, np.int64)
        cleaned = clean(events, Places(zeros, offsets, zeros), self.store.settings.spec, before.kinds)
        control = before.positions.get(CONTROL, 0) + len(more)
        after = msgspec.structs.replace(
            before,
            positions={**before.positions, "0": first + events.height, CONTROL: control},
            kinds=cleaned.kinds,
            complete_since=before.complete_since or 0,
            topic="events",
            topic_id="T1",
        )
        self.store.apply(Change(before=before, after=after, events=cleaned.events, unusable=cleaned.unusable, **more))

    @property
    def control(self) -> int:
        return self.store.state().positions[CONTROL]

    def decide(self, messages: Sequence[bytes]) -> list[Answer]:
        spec = self.scorer.bundle.spec
        answers = MessageScorer(self.scorer, None, Histories(self.store, spec, Limits())).answer(messages)
        for message, answer in zip(messages, answers, strict=True):
            if answer.refusal is None:
                where = f'{{"request_id":"r{len(self.lines)}","row":1}}'.encode()
                head = line_head("rest", 1.8e9, more=answer.history is not None)
                self.lines.append(receipt_line(head, where, message, answer))
        return answers

    def seal(self, lines: Sequence[bytes] | None = None, key: bytes | None = None) -> None:
        spec = self.scorer.bundle.spec
        with Chain.open(self.log, "rest") as chain:
            for _, frame in receipt_frames(self.lines if lines is None else lines, lambda _id: spec):
                chain.seal(frame if key is None else keyed_frame(frame, key))

    def ask(self, credit: Credit, *flags: object) -> "subprocess.CompletedProcess[str]":
        """Run the command; LMDB takes a store once a process."""
        self.store.close()
        bundles = ("--bundles", self.scorer.bundle.path)
        done = credit("history", "reconcile", self.log, "--store", self.store.where, *bundles, *flags)
        self.store = open_store(self.store.where)
        return done

    def reconcile(self, credit: Credit, *flags: object) -> tuple[int, dict[str, Any]]:
        done = self.ask(credit, "--json", *flags)
        return done.returncode, json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}


def keyed_frame(frame: pl.DataFrame, key: bytes) -> pl.DataFrame:
    made = Pseudonymiser.__new__(Pseudonymiser)
    made._key, made._ids, made._attributes = key, ("customer_id",), ()
    return made.frame(frame)


@pytest.fixture
def live(scorer: Scorer, tmp_path: Path) -> Iterator[Live]:
    made = Live(create_store(str(tmp_path / "store"), scorer.bundle.spec), scorer, tmp_path / "log", [])
    yield made
    made.store.close()


@pytest.fixture
def messages(dataset: Dataset, scorer: Scorer) -> list[bytes]:
    own = dataset.applications.filter(pl.col("customer_id").is_in([LATE, ON_TIME, VOIDED, ERASED, OLD]))
    return [bare(m.body) for m in to_messages(own, dataset.events.clear(), scorer.bundle.spec)]


def events_of(dataset: Dataset, *names: str) -> pl.DataFrame:
    return dataset.events.filter(pl.col("customer_id").is_in(names)).sort("occurred_at")


def newest(dataset: Dataset, name: str, count: int) -> pl.DataFrame:
    """A customer's last events before the first of its applications, shortly before it, so that all count."""
    instant = min(datetime.fromisoformat(text) for text in dataset.applications.filter(customer_id=name)["as_of"])
    own = events_of(dataset, name).tail(count)
    assert own.height == count
    return own.with_columns(occurred_at=pl.lit(instant) - pl.duration(hours=pl.int_range(1, count + 1)))


def test_each_difference_has_its_name(live: Live, dataset: Dataset, messages: list[bytes], credit: Credit) -> None:
    early = [events_of(dataset, name) for name in (LATE, ON_TIME, VOIDED, ERASED, OLD)]
    taken_back = newest(dataset, VOIDED, 1)
    live.consume(pl.concat(early))
    place = live.store.state().positions["0"]
    live.consume(taken_back)
    answers = live.decide(messages)
    assert all(answer.decision for answer in answers)
    carrying = to_messages(dataset.applications.head(1), dataset.events, live.scorer.bundle.spec)
    live.decide([m.body for m in carrying])
    live.seal()
    code, found = live.reconcile(credit)
    assert (code, found["decisions"], found["same"], found["carried"]) == (0, len(messages), len(messages), 1)
    late = newest(dataset, LATE, 2)
    unread = late.head(1).with_columns(recorded_at=pl.col("occurred_at").max() + pl.duration(days=90))
    live.consume(pl.concat([late, unread], how="diagonal"))
    live.consume(late.clear(), voids=[(VOIDED, Void(0, place, live.control))])
    live.consume(late.clear(), erasures=[(ERASED, Erasure({"0": place}, live.control))])
    code, found = live.reconcile(credit)
    assert code == 0
    names = {one["application_id"]: one for one in found["differences"]}
    owner = {json.loads(m)["application_id"]: json.loads(m)["customer_id"] for m in messages}
    by_customer = {owner[application]: one["names"] for application, one in names.items()}
    assert by_customer == {LATE: ["late"], VOIDED: ["voided"], ERASED: ["erased"]}
    first = next(one for application, one in names.items() if owner[application] == LATE)
    assert first["places"]["late"][:2] == [f"0:{place + 1}", f"0:{place + 2}"]
    assert (found["late"], found["defects"]) == (sum(owner[a] == LATE for a in names), 0)
    assert found["same"] + len(names) == found["decisions"]
    said = live.ask(credit)
    assert "0 defects" in said.stdout
    assert f"0:{place + 1}" in said.stdout


def test_expired_events_are_named_and_a_file_that_was_loaded_later_is_late(
    live: Live, dataset: Dataset, messages: list[bytes], credit: Credit
) -> None:
    live.consume(events_of(dataset, OLD, LATE))
    live.decide(messages)
    live.seal()
    late = newest(dataset, LATE, 3)
    load_events(live.store, late, live.scorer.bundle.spec, Loading(fingerprint="f", until={}))
    live.store.expire(int(late["occurred_at"].dt.epoch("us").min()))  # type: ignore[arg-type]
    code, found = live.reconcile(credit)
    owner = {json.loads(m)["application_id"]: json.loads(m)["customer_id"] for m in messages}
    named = {(owner[one["application_id"]], name) for one in found["differences"] for name in one["names"]}
    assert code == 0
    assert {(OLD, "expired"), (LATE, "late")} <= named
    assert (OLD, "late") not in named


def test_what_has_no_cause_is_a_defect(live: Live, dataset: Dataset, messages: list[bytes], credit: Credit) -> None:
    """Events that the decision must not have had, lacks, or a watermark that is not its own."""
    live.consume(events_of(dataset, LATE, ON_TIME))
    (answer,) = live.decide(messages[:1])
    assert answer.history is not None
    honest = live.lines.pop()
    events = json.loads(honest)["application"]["events"]
    for used in ([*events, events[-1]], events[:-1], [{**events[0], "amount": 1.23}, *events[1:]]):
        body = json.dumps({**json.loads(messages[0]), "events": used}).encode()
        (forged,) = MessageScorer(live.scorer).answer([body])
        line = receipt_line(line_head("rest", 1.8e9, more=True), source(answer), body, forged)
        live.lines.append(line)
    live.lines.append(re.sub(rb'"positions":{"0":[0-9]+', b'"positions":{"0":1', honest))
    live.seal()
    code, found = live.reconcile(credit)
    assert code == 7
    assert (found["decisions"], found["defects"], found["same"]) == (4, 4, 0)


def source(answer: Answer) -> bytes:
    assert answer.history is not None
    return b'{"request_id":"r","row":1,"history":' + answer.history.watermark + b"}"


def test_a_keyed_log_is_reconciled_with_its_key(
    live: Live, dataset: Dataset, messages: list[bytes], credit: Credit, tmp_path: Path
) -> None:
    live.consume(events_of(dataset, LATE, ON_TIME))
    live.decide(messages)
    (tmp_path / "key").write_text("k" * 40)
    live.seal(key=b"k" * 40)
    code, said = live.reconcile(credit)
    assert code == 2
    assert "--pii-key" in said["stderr"]
    code, found = live.reconcile(credit, "--pii-key", tmp_path / "key")
    assert (code, found["same"]) == (0, len(messages))


def test_a_store_that_is_behind_or_of_another_topic_is_refused(
    live: Live, dataset: Dataset, messages: list[bytes], credit: Credit, tmp_path: Path
) -> None:
    live.consume(events_of(dataset, LATE))
    live.store.copy(tmp_path / "copy")
    live.consume(newest(dataset, LATE, 1))
    live.decide(messages)
    live.seal()
    older = Live(open_store(str(tmp_path / "copy")), live.scorer, live.log, [])
    code, said = older.reconcile(credit)
    assert code == 4
    assert "catch up" in said["stderr"]
    before = older.store.state()
    older.store.apply(Change(before=before, after=msgspec.structs.replace(before, topic_id="T2")))
    code, said = older.reconcile(credit)
    assert code == 2
    assert "another topic" in said["stderr"]
    older.store.close()

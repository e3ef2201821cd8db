"""What a history store makes of events and applications that are wrong, many, or given twice."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from features.carried import Carried
from features.matrix import FeatureTable, build_carried, build_features
from features.spec.contract import Spec
from history import Change, Histories, HistoryStore, Limits, Places, clean, create_store
from recipes.dataset import Dataset
from scoring.message.decoder import MessageDecoder
from scoring.message.found_histories import Found
from scoring.message.from_tables import to_messages
from stream.client.records import Message
from stream.history.event_messages import read_controls
from tests.process.test_history_doors import bare

NAME = "C7-0000011"


@pytest.fixture
def store(spec: Spec, tmp_path: Path) -> Iterator[HistoryStore]:
    made = create_store(str(tmp_path / "store"), spec)
    yield made
    made.close()


def consume(store: HistoryStore, events: pl.DataFrame) -> list[tuple[int, int, str]]:
    """Take events behind those that are there; return places and codes of those without a customer."""
    before = store.state()
    first = before.positions.get("0", 0)
    offsets, zeros = np.arange(first, first + events.height), np.zeros(events.height, np.int64)
    made = clean(events, Places(zeros, offsets, zeros), store.settings.spec, before.kinds)
    positions = {"0": first + events.height}
    after = msgspec.structs.replace(before, positions=positions, kinds=made.kinds, complete_since=0)
    store.apply(Change(before=before, after=after, events=made.events, unusable=made.unusable))
    return made.orphans


def look_up(store: HistoryStore, spec: Spec, message: bytes, limits: Limits | None = None) -> tuple[Carried, Found]:
    decoded = MessageDecoder(spec, history=True).decode([message])
    return decoded.carried, Histories(store, spec, limits or Limits())(decoded.lacking)


def live(store: HistoryStore, spec: Spec, message: bytes) -> FeatureTable:
    carried, found = look_up(store, spec, message)
    assert not found.refusals
    return build_carried(Carried(carried.applications, carried.events, carried.counts, found.stored), spec)


def an_application(dataset: Dataset, spec: Spec) -> tuple[pl.DataFrame, bytes]:
    table = dataset.applications.filter(customer_id=NAME).head(1)
    (message,) = to_messages(table, dataset.events.clear(), spec)
    return table, bare(message.body)


def test_an_id_of_257_bytes_is_nobodys(store: HistoryStore, spec: Spec, dataset: Dataset) -> None:
    long = dataset.events.head(2).with_columns(customer_id=pl.Series(["x" * 257, "x" * 256]))
    assert consume(store, long) == [(0, 0, "event_customer_id_unusable")]
    assert [name for name, _ in store.everybody()] == ["x" * 256]
    _, message = an_application(dataset, spec)
    assert not len(
        look_up(store, spec, json.dumps(json.loads(message) | {"customer_id": "x" * 257}).encode())[1].refusals
    )


def test_the_same_event_twice_counts_twice_as_in_files(store: HistoryStore, spec: Spec, dataset: Dataset) -> None:
    own = dataset.events.filter(customer_id=NAME)
    twice = pl.concat([own, own])
    consume(store, twice)
    table, message = an_application(dataset, spec)
    found = live(store, spec, message).matrix.tobytes()
    assert found == build_features(table, twice, spec).matrix.tobytes()
    assert found != build_features(table, own, spec).matrix.tobytes()


def test_a_customer_with_100_000_events_is_decided_and_one_above_the_limit_is_refused(
    store: HistoryStore, spec: Spec, dataset: Dataset
) -> None:
    own = dataset.events.filter(customer_id=NAME)
    many = pl.concat([own] * (100_000 // own.height + 1)).head(100_000)
    consume(store, many)
    table, message = an_application(dataset, spec)
    assert live(store, spec, message).matrix.tobytes() == build_features(table, many, spec).matrix.tobytes()
    (refusal,) = look_up(store, spec, message, Limits(most_events=99_999))[1].refusals.values()
    assert refusal.code == "history_too_long"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b'{"erase":{"customer_id":"%s","until":{"0":5}}}' % (b"x" * 257), "event_customer_id_unusable"),
        (b'{"erase":{"customer_id":"C\\u00001","until":{"0":5}}}', "event_customer_id_unusable"),
        (b'{"void":{"customer_id":"  ","partition":1,"offset":9}}', "event_customer_id_unusable"),
        (b'{"erase":{"customer_id":"C","until":{"all":5}}}', "message_not_json"),
        (b'{"erase":{"customer_id":"C","until":{"0":-1}}}', "message_not_json"),
        (b'{"void":{"customer_id":"C","partition":1,"offset":99999999999999999999}}', "message_not_json"),
        (b'{"void":{"customer_id":"C","partition":2147483648,"offset":9}}', "message_not_json"),
        (None, "message_not_json"),
    ],
)
def test_a_control_message_that_no_store_can_hold_is_put_aside_and_ends_no_consumer(
    value: bytes | None, code: str, store: HistoryStore
) -> None:
    good = b'{"void":{"customer_id":" C ","partition":2147483647,"offset":9223372036854775807}}'
    controls = read_controls([Message("control", 0, at, None, v, (), 0) for at, v in enumerate((value, good))])
    assert [refusal.code for _, refusal in controls.refused] == [code]
    state = store.state()
    store.apply(Change(before=state, after=state, voids=controls.voids, erasures=controls.erasures))
    assert [void.control for void in store.read(["C"]).customers[0].notes.voids] == [1]

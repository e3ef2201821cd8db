"""One contract, two engines: LMDB in a folder, and a real PostgreSQL server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from benchmarks import history_speed
from features.carried import Carried
from features.errors import DeliveryError, InputError, SettingsError
from features.matrix import FeatureTable, build_carried, build_features
from features.spec.contract import Spec
from history import (
    Change,
    Erasure,
    Histories,
    HistoryStore,
    Limits,
    Loading,
    Places,
    StaleError,
    State,
    Void,
    clean,
    create_store,
    load_events,
    open_store,
    rows,
    visible,
)
from recipes.dataset import Dataset
from scoring.message.decoder import MessageDecoder
from scoring.message.from_tables import to_messages
from tests.postgres import PostgresServer, find_tools
from tests.process.test_history_doors import bare

ENGINES = ("lmdb", pytest.param("postgres", marks=pytest.mark.process))
LIMITS = Limits()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer(find_tools()).make()
    yield made
    made.stop()


@dataclass
class Filled:
    """A store, and what it was given: canonical events with their places."""

    store: HistoryStore
    spec: Spec
    given: pl.DataFrame

    def give(self, table: pl.DataFrame, first_offset: int, partition: int = 0) -> "Filled":
        """Consume a table as a topic's partition would bring it."""
        before = self.store.state()
        offsets = np.arange(first_offset, first_offset + table.height)
        places = Places(np.full(table.height, partition), offsets, np.zeros(table.height, np.int64))
        cleaned = clean(table, places, self.spec, before.kinds)
        positions = {**before.positions, str(partition): int(first_offset + table.height)}
        after = msgspec.structs.replace(before, positions=positions, kinds=cleaned.kinds, complete_since=0)
        self.store.apply(Change(before=before, after=after, events=cleaned.events, unusable=cleaned.unusable))
        placed = table.with_columns(partition=pl.lit(partition), offset=pl.Series(offsets))
        return Filled(self.store, self.spec, pl.concat([self.given, placed], how="diagonal_relaxed"))


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Spec], HistoryStore]]:
    opened: list[HistoryStore] = []

    def create(spec: Spec) -> HistoryStore:
        lmdb = request.param == "lmdb"
        address = str(tmp_path / f"store-{len(opened)}") if lmdb else request.getfixturevalue("server").database()
        opened.append(create_store(address, spec))
        return opened[-1]

    yield create
    for store in opened:
        store.close()


@pytest.fixture
def filled(make: Callable[[Spec], HistoryStore], spec: Spec, dataset: Dataset) -> Filled:
    events = dataset.events.filter(pl.col("customer_id") < "C7-0000060").sample(fraction=1, shuffle=True, seed=3)
    empty = events.clear().with_columns(partition=pl.lit(0), offset=pl.lit(0, dtype=pl.Int64))
    filled = Filled(make(spec), spec, empty)
    for start in range(0, events.height, 500):
        filled = filled.give(events[start : start + 500], start)
    return filled


def live(filled: Filled, messages: list[bytes]) -> FeatureTable:
    decoded = MessageDecoder(filled.spec, history=True).decode([bare(message) for message in messages])
    found = Histories(filled.store, filled.spec, LIMITS)(decoded.lacking)
    assert not found.refusals
    carried = decoded.carried
    return build_carried(Carried(carried.applications, carried.events, carried.counts, found.stored), filled.spec)


def applications(dataset: Dataset) -> pl.DataFrame:
    return dataset.applications.filter(pl.col("customer_id") < "C7-0000060")


def assert_same(filled: Filled, dataset: Dataset, events: pl.DataFrame) -> None:
    """Live features in rounds of several sizes are the bits of the files', and so are rejects and dirt."""
    table = applications(dataset)
    nobody = dataset.events.clear()
    messages = [m.body for m in to_messages(table, nobody, filled.spec)]
    for size in (1, 7, len(messages)):
        for start in range(0, len(messages), size):
            batch = build_features(table[start : start + size], events, filled.spec)
            found = live(filled, messages[start : start + size])
            assert found.matrix.tobytes() == batch.matrix.tobytes()
            assert found.matches.applications == batch.matches.applications
            chosen = ["row", "column", "code"]
            mine, theirs = (t.rejects.filter(pl.col("table") == "applications") for t in (found, batch))
            assert_frame_equal(mine.select(chosen), theirs.select(chosen))
            attributes = [dirt for dirt in batch.counted if dirt[0] == "applications"]
            assert [dirt for dirt in found.counted if dirt[0] == "applications"] == attributes


def test_live_features_are_those_of_a_batch(filled: Filled, dataset: Dataset) -> None:
    assert_same(filled, dataset, filled.given)


def test_live_counts_are_those_of_messages_that_carry_the_events(filled: Filled, dataset: Dataset) -> None:
    messages = [m.body for m in to_messages(applications(dataset), filled.given, filled.spec)]
    for size in (5, len(messages)):
        carried = build_carried(MessageDecoder(filled.spec).decode(messages[:size]).carried, filled.spec)
        found = live(filled, messages[:size])
        assert found.matrix.tobytes() == carried.matrix.tobytes()
        assert found.matches == carried.matches
        assert found.counted == carried.counted


@pytest.mark.slow
def test_dirty_events_refuse_the_same_applications_with_the_same_codes(filled: Filled, dataset: Dataset) -> None:
    texts = filled.given.select(pl.col("customer_id", "occurred_at", "kind", "amount").cast(pl.String))
    late = texts.head(12).with_columns(recorded_at=pl.lit("2031-01-01"))
    dirty = late.with_columns(
        amount=pl.Series(["x", "1.234", "", None, "1e400", "5", "5", "5", "5", "5", "5", "5"]),
        kind=pl.Series(["purchase"] * 5 + ["", None, "never seen", "fee ", "purchase", "never seen", "purchase"]),
        occurred_at=pl.Series(["2025-01-01"] * 9 + ["2025-02-30", None, "2025-01-01T00:00:00+01:00"]),
        customer_id=pl.Series([f"C7-00000{i:02d}" for i in range(1, 13)]),
    )
    more = pl.concat([dirty, dirty.head(1)])
    typed = filled.given.select("customer_id", "occurred_at", "kind", "amount").with_columns(
        pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), pl.col("kind", "amount").cast(pl.String)
    )
    filled.give(more, filled.given.height)
    recorded = typed.with_columns(recorded_at=given_recorded(filled.given))
    assert_same(filled, dataset, pl.concat([recorded, more]))


def given_recorded(table: pl.DataFrame) -> pl.Series:
    if "recorded_at" not in table.columns:
        return pl.Series("recorded_at", [None] * table.height, dtype=pl.String)
    return table["recorded_at"].dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")


def test_an_export_is_what_was_given(filled: Filled, dataset: Dataset) -> None:
    digits = filled.spec.currency.minor_digits
    kinds = filled.store.state().kinds
    exported = [row for name, c in filled.store.everybody() for row in rows(name, c, kinds, digits, ".")]
    assert len(exported) == filled.given.height
    table = pl.DataFrame(exported, infer_schema_length=None)
    assert_same(filled, dataset, table.drop("partition", "offset"))
    places = table.select("customer_id", pl.col("offset").cast(pl.Int64)).sort("offset")
    assert places["customer_id"].to_list() == filled.given.sort("offset")["customer_id"].to_list()


def test_a_writer_that_was_overtaken_writes_nothing(filled: Filled) -> None:
    before = filled.store.state()
    filled.give(filled.given.head(3).drop("partition", "offset"), 100_000)
    late = Change(before=before, after=before, events={})
    with pytest.raises(StaleError):
        filled.store.apply(late)


def test_erased_is_gone_and_stays_gone_when_all_is_read_again(
    make: Callable[[Spec], HistoryStore], filled: Filled
) -> None:
    name = "C7-0000008"
    old = filled.given.drop("partition", "offset")
    erasure = Erasure({"0": old.height}, 0)
    again = make(filled.spec)
    for store in (filled.store, again):
        state = store.state()
        store.apply(Change(before=state, after=state, erasures=[(name, erasure)]))
        assert not len(store.read([name]).customers[0].records)
    load_events(again, old, filled.spec, Loading(fingerprint="f", until={}))
    assert not len(again.read([name]).customers[0].records)
    assert len(again.read(["C7-0000009"]).customers[0].records)
    new = old.filter(pl.col("customer_id") == name).head(2)
    filled.give(new, old.height)
    assert len(filled.store.read([name]).customers[0].records) == 2


def test_a_load_that_broke_off_goes_on_and_a_second_one_adds_nothing(
    make: Callable[[Spec], HistoryStore], spec: Spec, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("history.loading._SLICE", 700)
    store, events = make(spec), dataset.events.head(3_000)

    def broken(done: int) -> None:
        if done > 1_000:
            raise InterruptedError

    loading = Loading(fingerprint="f", until={"0": 10})
    with pytest.raises(InterruptedError):
        load_events(store, events, spec, loading, broken)
    assert store.state().complete_since is None
    found = load_events(store, events, spec, loading)
    assert 0 < found.already < 3_000
    assert load_events(store, events, spec, loading).already == 3_000
    assert sum(len(customer.records) for _, customer in store.everybody()) == 3_000
    assert store.state().positions["0"] == 10
    with pytest.raises(SettingsError, match="--until"):
        load_events(store, events, spec, Loading(fingerprint="g", until={"0": 99}))
    with pytest.raises(InputError, match="no event"):
        load_events(store, events.clear(), spec, Loading(fingerprint="h", until={}))


def test_expiry_says_first_that_older_applications_are_not_complete(filled: Filled) -> None:
    occurred = filled.given["occurred_at"].dt.epoch("us")
    middle = int(occurred.sort()[occurred.len() // 2])
    gone = filled.store.expire(middle)
    assert gone == int((occurred < middle).sum())
    assert filled.store.state().complete_since == middle
    left = [int(r) for _, c in filled.store.everybody() for r in c.records["occurred_at"]]
    assert min(left) >= middle
    assert len(left) == filled.given.height - gone


def test_a_voided_event_counts_no_longer_but_does_at_the_old_watermark(filled: Filled) -> None:
    row = filled.given.row(0, named=True)
    before = filled.store.state()
    after = msgspec.structs.replace(before, positions={**before.positions, "control": 8})
    void = row["customer_id"], Void(0, row["offset"], 7)
    filled.store.apply(Change(before=before, after=after, voids=[void]))
    customer = filled.store.read([row["customer_id"]]).customers[0]
    assert len(visible(customer, None).records) + 1 == len(customer.records)
    assert len(visible(customer, before.positions).records) == len(customer.records)


def test_a_customer_of_many_chunks_and_long_names(filled: Filled) -> None:
    one = filled.given.head(1).drop("partition", "offset")
    longest = "Ä" * 128
    many = pl.concat([one] * 2_000).with_columns(customer_id=pl.lit(longest))
    filled.give(many, filled.given.height)
    (customer,) = filled.store.read([longest]).customers
    assert customer.records["offset"].tolist() == list(range(filled.given.height, filled.given.height + 2_000))


def test_a_heartbeat_keeps_the_positions(filled: Filled) -> None:
    filled.store.beat(12.5, {"0": 7})
    state = filled.store.state()
    assert (state.heartbeat, state.ends) == (12.5, {"0": 7})
    assert state.positions == {"0": filled.given.height}


@pytest.mark.process
def test_a_server_that_went_away_is_a_delivery_error_and_comes_back(server: PostgresServer, spec: Spec) -> None:
    store = create_store(server.database(), spec)
    server.stop()
    with pytest.raises(DeliveryError, match="server"):
        store.state()
    server.start()
    assert store.state() == State()
    store.close()


@pytest.mark.process
def test_what_is_no_store_is_refused(server: PostgresServer, spec: Spec, tmp_path: Path) -> None:
    for address in (str(tmp_path / "none"), server.database()):
        with pytest.raises(SettingsError, match="history init"):
            open_store(address)
        create_store(address, spec).close()
        with pytest.raises(SettingsError):
            create_store(address, spec)
        open_store(address).close()


@pytest.mark.process  # the server of this file stops behind it
def test_the_benchmark_runs_at_a_hundredth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history_speed.main(300, str(tmp_path / "store"))
    assert json.loads(capsys.readouterr().out)["events"] == 12_000

"""Random specs, events, orders of arrival: a live decision is the batch over exactly what it had seen, bit by bit."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.carried import Carried
from features.matrix import build_carried, build_features
from features.spec.contract import Spec
from features.spec.file import parse_spec
from history import CONTROL, Change, Histories, HistoryStore, Limits, Places, Void, clean, create_store
from recipes.synthetic import synthetic
from scoring.message.decoder import MessageDecoder
from tests.postgres import PostgresServer, find_tools

CUSTOMERS = ("A", "B", "C")
KINDS = ("salary", "purchase", "instalment", "late_fee", "overdraft", "note", "never seen", "", None)
DAYS = (1, 7, 30, 90, 365)
GROUP = re.compile(r"(\[rfm\.\w+\]\nkinds = [^\n]*\n)windows_days.*?(description[^\n]*\n).*?(?=\n\[)", re.DOTALL)
MEASURES = ("sum", "mean", "std", "min", "max", "share")
LIMITS = Limits()
TEXT = synthetic(20, seed=1).spec_text


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """The synthetic lender's, with windows, measures, minor digits and ignored kinds of its own."""

    def group(found: "re.Match[str]") -> str:
        days = sorted(draw(st.sets(st.sampled_from(DAYS), min_size=1)))
        measures = draw(st.lists(st.sampled_from(MEASURES), unique=True))
        trend = f"trend_days = [{days[0]}, {days[-1]}]\n" if len(days) > 1 and draw(st.booleans()) else ""
        return (
            f"{found[1]}windows_days = {days}\n{found[2]}recency = true\n"
            f"frequency = {json.dumps(draw(st.booleans()))}\nmonetary = {json.dumps(measures)}\n{trend}"
        )

    text = GROUP.sub(group, TEXT)
    text = text.replace("minor_digits = 2", f"minor_digits = {draw(st.sampled_from((0, 2, 3)))}")
    ignored = draw(st.sampled_from(('["note"]', '["note", "never seen"]', "[]")))
    return parse_spec(text.replace('ignored = ["note"]', f"ignored = {ignored}"))


BEGIN = np.datetime64("2024-06-01T00:00:00")
INSTANTS = st.integers(0, 500 * 24).map(lambda hours: f"{BEGIN + np.timedelta64(hours, 'h')}Z")
LATER = st.integers(200 * 24, 500 * 24).map(lambda hours: f"{BEGIN + np.timedelta64(hours, 'h')}Z")


def mostly(usual: "st.SearchStrategy[Any]", seldom: "st.SearchStrategy[Any]") -> "st.SearchStrategy[Any]":
    return st.integers(0, 19).flatmap(lambda chance: seldom if chance == 19 else usual)


AMOUNTS = st.sampled_from(("0", "1", "-3", "12", "999999", "7", "12.345", "x", None))
EVENTS = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(CUSTOMERS),
        "occurred_at": mostly(INSTANTS, st.sampled_from(("2024-02-30", None))),
        "kind": mostly(st.sampled_from(KINDS[:5]), st.sampled_from(KINDS)),
        "amount": mostly(st.integers(-500, 500).map(str), AMOUNTS),
        "recorded_at": st.one_of(st.none(), st.none(), INSTANTS),
    }
)
APPLICATIONS = st.tuples(st.just("decide"), st.sampled_from(CUSTOMERS), LATER)
STEPS = st.one_of(
    st.tuples(st.just("consume"), st.integers(0, 2), st.lists(EVENTS, min_size=1, max_size=6)),
    st.tuples(st.just("void"), st.integers(0, 10**6)),
    APPLICATIONS,
    APPLICATIONS,
)


@dataclass
class Run:
    """What was given to the store, in the order of the topic, and what was decided at which watermark."""

    store: HistoryStore
    spec: Spec
    events: list[dict[str, Any]] = field(default_factory=list)
    voids: list[tuple[tuple[int, int], int]] = field(default_factory=list)
    decided: list[tuple[bytes, bytes | None, dict[str, int], bytes | str]] = field(default_factory=list)

    def consume(self, partition: int, rows: list[dict[str, Any]]) -> None:
        before = self.store.state()
        first = before.positions.get(str(partition), 0)
        table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
        places = Places(
            np.full(len(rows), partition), np.arange(first, first + len(rows)), np.zeros(len(rows), np.int64)
        )
        made = clean(table, places, self.spec, before.kinds)
        self._apply(
            before, {str(partition): first + len(rows)}, kinds=made.kinds, events=made.events, unusable=made.unusable
        )
        self.events += [row | {"place": (partition, first + i)} for i, row in enumerate(rows)]

    def void(self, which: int) -> None:
        if not self.events:
            return
        before, event = self.store.state(), self.events[which % len(self.events)]
        control = before.positions.get(CONTROL, 0)
        partition, offset = event["place"]
        self._apply(before, {CONTROL: control + 1}, voids=[(event["customer_id"], Void(partition, offset, control))])
        self.voids.append((event["place"], control))

    def _apply(self, before: Any, positions: dict[str, int], kinds: tuple[str, ...] | None = None, **more: Any) -> None:
        after = msgspec.structs.replace(
            before,
            positions=before.positions | positions,
            kinds=before.kinds if kinds is None else kinds,
            complete_since=0,
        )
        self.store.apply(Change(before=before, after=after, **more))

    def decide(self, customer: str, as_of: str) -> None:
        name = f"P{len(self.decided)}"
        attributes = dict.fromkeys([attribute.name for attribute in self.spec.attributes])
        body = {"application_id": name, "customer_id": customer, "as_of": as_of, "attributes": attributes}
        message = json.dumps(body).encode()
        made, watermark = self.live(message, None)
        self.decided.append((message, watermark, dict(self.store.state().positions), made))

    def live(self, message: bytes, at: bytes | None) -> tuple[bytes | str, bytes | None]:
        """The feature bytes of one application, or the code of its refusal; and the watermark."""
        decoded = MessageDecoder(self.spec, history=True).decode([message])
        (lacking,) = decoded.lacking
        found = Histories(self.store, self.spec, LIMITS)([replace(lacking, at=at)])
        if found.refusals:
            return found.refusals[0].code, None
        carried = decoded.carried
        table = build_carried(Carried(carried.applications, carried.events, carried.counts, found.stored), self.spec)
        return made_of(table), found.used[0].watermark

    def batch(self, message: bytes, positions: dict[str, int]) -> bytes | str:
        """The same of a batch over the events before the positions, without those taken back by then."""
        gone = {place for place, control in self.voids if control < positions.get(CONTROL, 0)}
        seen = [
            e for e in self.events if e["place"][1] < positions.get(str(e["place"][0]), 0) and e["place"] not in gone
        ]
        seen.sort(key=lambda event: event["place"])
        columns = ("customer_id", "occurred_at", "kind", "amount", "recorded_at")
        events = pl.DataFrame(
            [[e[name] for name in columns] for e in seen], schema=dict.fromkeys(columns, pl.String), orient="row"
        )
        applications = MessageDecoder(self.spec, history=True).decode([message]).applications
        return made_of(build_features(applications, events, self.spec))


def made_of(table: Any) -> bytes | str:
    if table.matrix.shape[0]:
        return bytes(table.matrix.tobytes())
    return str(table.rejects.filter(pl.col("table") == "applications")["code"][0])


def check(store: HistoryStore, spec: Spec, steps: list[Any]) -> int:
    """Run the steps; return how many were decided."""
    run = Run(store, spec)
    for name, *arguments in steps:
        getattr(run, name)(*arguments)
    for message, watermark, positions, made in run.decided:
        if made == "history_incomplete":  # nothing was consumed yet
            assert not run.events or not positions
            continue
        assert made == run.batch(message, positions)
        if watermark is not None:
            assert run.live(message, watermark)[0] == made
    return sum(isinstance(made, bytes) for *_, made in run.decided)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer(find_tools()).make()
    yield made
    made.stop()


RUNS = st.builds(
    lambda first, rest: [("consume", 0, first), *rest],
    st.lists(EVENTS, min_size=1, max_size=12),
    st.lists(STEPS, min_size=4, max_size=20),
)


def test_a_live_decision_is_the_batch_over_what_it_has_seen(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = []

    @settings(deadline=None)
    @given(spec=specs(), steps=RUNS)
    def run(spec: Spec, steps: list[Any]) -> None:
        store = create_store(str(tmp_path_factory.mktemp("store") / "s"), spec)
        found.append(check(store, spec, steps))
        store.close()

    run()
    assert sum(found) > len(found), "most are decisions, not refusals"


@pytest.mark.process
@settings(deadline=None, max_examples=6)
@given(spec=specs(), steps=RUNS)
def test_so_it_is_on_a_server(server: PostgresServer, spec: Spec, steps: list[Any]) -> None:
    store = create_store(server.database(), spec)
    check(store, spec, steps)
    store.close()

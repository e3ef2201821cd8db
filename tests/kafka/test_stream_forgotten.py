"""Transactions that nobody ends: found, and ended by the worker, on a real Apache Kafka that holds one."""

import contextlib
import time

import pytest

from stream.client.cluster import Admin
from stream.client.records import Target
from stream.position.forgotten import OTHERS_S, Forgotten
from tests.kafka_broker import KafkaServer
from tests.kafka_wire import Stray
from tests.places import Place, patiently
from tests.waiting import PATIENCE_S, wait_until

LOST = [{"record"}, {"offset"}, {"receipt"}, {"record", "offset"}, {"record", "offset", "receipt"}]


def hanging(place: Place) -> set[str]:
    """What an open transaction holds back."""
    admin, topics = Admin(place.settings().connection), {"record": place.output, "receipt": place.receipts}
    targets, ends = [(topic, 0) for topic in topics.values()], list[dict[Target, int]]()
    patiently(lambda: ends.append(admin.ends(targets, committed=True)))
    patiently(lambda: ends.append(admin.ends(targets, committed=False)))
    held = {what for what, topic in topics.items() if ends[0][topic, 0] < ends[1][topic, 0]}
    return held if place.offsets().settled([0]) else {*held, "offset"}


def forget(server: KafkaServer, place: Place, lost: set[str]) -> None:
    """Decide the message 1 of the worker that is gone, but leave open what is `lost` of it, known to no coordinator."""
    group = place.offsets()
    ends = tuple(group.watermarks(topic, 0)[1] for topic in (place.output, place.receipts))
    mark = place.span()._replace(first=1, ends=ends).mark()
    records = dict(zip(("record", "receipt"), place.decisions(1), strict=True))
    producer = place.by_hand(place.group)
    producer.send([record for what, record in records.items() if what not in lost])
    if "offset" not in lost:
        patiently(lambda: producer.send_offsets(place.input, {0: 2}, group.membership(), {0: mark}))
    patiently(producer.commit)
    with contextlib.closing(Stray.of(server.port, place.group)) as stray:
        for what, record in records.items():
            if what in lost:
                stray.write([record])
        if "offset" in lost:
            stray.commit_offset(place.group, place.input, 2, mark)


@pytest.mark.parametrize("lost", LOST, ids=lambda lost: "-".join(sorted(lost)))
def test_a_transaction_that_nobody_ends_is_ended_by_the_worker_of_its_id(
    believing: KafkaServer, lost: set[str]
) -> None:
    with contextlib.closing(Place.of(believing, receipts=True)) as place:
        place.send(*[(b"k", b"v")] * 4)
        assert place.decide(1) == [0]
        forget(believing, place, lost)
        consumer, delivery = place.worker(others_s=2)
        assert hanging(place) >= lost, "to begin as the same transactional id has ended what the coordinator knows of"
        end = time.monotonic() + PATIENCE_S
        while min(len(place.decided()), len(place.decided(place.receipts))) < 4:
            assert time.monotonic() < end, f"it hangs for ever: {hanging(place)}"
            delivery.tend()
            if (batch := consumer.take(10, 0.1)).messages:
                delivery.deliver(place.copies(batch, place.positions.key), batch.offsets, batch.membership)
        assert place.decided() == [0, 1, 2, 3], "nothing twice, nothing left out"
        assert place.decided(place.receipts) == [0, 1, 2, 3], "one receipt for each decision"
        assert place.offsets().committed([0]) == {0: 4}
        assert wait_until(lambda: not hanging(place))


class Cluster:
    """Ends of targets and a clock, to be set."""

    def __init__(self, *targets: Target) -> None:
        self.now, self.settled, self.away = 0.0, True, False
        self.last = dict.fromkeys(targets, 10)
        self.stable = dict.fromkeys(targets, 10)
        self.forgotten = Forgotten(targets, self.ends, lambda _some: self.settled, lambda: self.now)

    def ends(self, targets: list[Target], *, committed: bool) -> dict[Target, int]:
        return {} if self.away else {t: (self.stable if committed else self.last)[t] for t in targets}

    def held_after(self, seconds: float, rebalances: int = 0) -> list[Target] | None:
        self.now += seconds
        return self.forgotten.held(rebalances)


def test_only_what_is_held_back_for_longer_than_a_transaction_may_last_is_forgotten() -> None:
    cluster = Cluster(("out", 0), ("out", 1))
    cluster.stable["out", 1] = 8
    assert cluster.held_after(0) is None
    assert cluster.held_after(OTHERS_S - 1) is None
    cluster.last["out", 0] = 99
    assert cluster.held_after(2) == [("out", 1)], "new transactions elsewhere do not matter"
    cluster.stable.update(cluster.last)
    assert cluster.held_after(OTHERS_S + 1) is None
    cluster.stable["out", 1] = 3
    assert cluster.held_after(OTHERS_S * 2) is None, "all was well: nothing is looked for until there is a reason"
    assert cluster.held_after(1, rebalances=1) is None
    assert cluster.held_after(OTHERS_S + 1, rebalances=1) == [("out", 1)]


def test_after_a_failure_of_its_own_a_worker_does_not_wait_long_and_sees_offsets_that_are_held_back() -> None:
    cluster = Cluster(("out", 0))
    cluster.settled = False
    cluster.forgotten.suspect_own()
    assert cluster.held_after(0) is None
    assert cluster.held_after(3) == []


def test_time_in_which_brokers_could_not_be_asked_is_none_in_which_something_was_held_back() -> None:
    """Else a transaction of a living worker, seen for the first time, counts as forgotten."""
    cluster = Cluster(("out", 0))
    cluster.away = True
    cluster.forgotten.suspect_own()
    assert cluster.held_after(0) is None
    assert cluster.held_after(OTHERS_S + 1) is None
    cluster.away, cluster.stable["out", 0] = False, 8
    assert cluster.held_after(1) is None, "seen for the first time"
    assert cluster.held_after(1) is None
    assert cluster.held_after(2) == [("out", 0)]


def test_to_end_something_may_take_long_and_what_is_open_then_is_looked_at_anew() -> None:
    cluster = Cluster(("out", 0))
    cluster.stable["out", 0] = 8
    cluster.forgotten.suspect_own()
    assert cluster.held_after(0) is None
    assert cluster.held_after(3) == [("out", 0)]
    assert cluster.held_after(5) is None, "it took 5 s to end it; this is the first look behind that"
    assert cluster.held_after(3) == [("out", 0)]

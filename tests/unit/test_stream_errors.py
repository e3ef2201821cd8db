"""The table of errors against the library's own list, patience, calls that hang, and a worker without partitions."""

import logging
import threading

import confluent_kafka as ck
import pytest

from features.errors import DeliveryError
from serving.watchdog import Watchdog
from stream.client.bounded import Bounded
from stream.client.error_table import FOR_EVER, HEALS, REPLACE
from stream.client.errors import FatalError, OpenTransactionError, PersonNeededError, RetriableError, translated
from stream.client.patience import LONGEST_DEADLINE_S, Patience, Times
from stream.unassigned import SPEAK_S, Unassigned

NAMES = {
    ck.KafkaError(code).name()
    for name in dir(ck.KafkaError)
    if name.isupper() and isinstance(code := getattr(ck.KafkaError, name), int)
}
OPEN_TO_JUDGEMENT = {  # neither heals nor stays for certain: the batch is read again, and patience ends it
    *("UNKNOWN", "_BAD_MSG", "_CRIT_SYS_RESOURCE", "_SSL", "_AUTHENTICATION", "_INVALID_ARG", "_STATE", "_CONFLICT"),
    *("INVALID_RECORD", "INVALID_MSG"),
    *("GROUP_MAX_SIZE_REACHED", "UNRELEASED_INSTANCE_ID"),
}  # fmt: skip


def test_every_name_in_the_table_is_one_of_the_library_and_stands_once() -> None:
    for one in (HEALS, FOR_EVER, REPLACE):
        assert one <= NAMES, one - NAMES
    assert len(HEALS | FOR_EVER | REPLACE) == len(HEALS) + len(FOR_EVER) + len(REPLACE)
    assert not OPEN_TO_JUDGEMENT & (HEALS | FOR_EVER | REPLACE)


@pytest.mark.parametrize(
    "name",
    [
        *("_UNKNOWN_PARTITION", "CONCURRENT_TRANSACTIONS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"),
        *("_TIMED_OUT", "_TRANSPORT", "_DESTROY_BROKER", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION"),
        *("NOT_ENOUGH_REPLICAS", "COORDINATOR_LOAD_IN_PROGRESS", "REQUEST_TIMED_OUT", "_ALL_BROKERS_DOWN"),
    ],
)
def test_what_heals_while_a_broker_is_replaced_is_tried_again(name: str) -> None:
    assert isinstance(translated(ck.KafkaError(getattr(ck.KafkaError, name)), "try"), RetriableError)


@pytest.mark.parametrize("name", sorted(OPEN_TO_JUDGEMENT))
def test_what_does_not_heal_by_itself_is_not_made_again(name: str) -> None:
    error = translated(ck.KafkaError(getattr(ck.KafkaError, name)), "try")
    assert not isinstance(error, RetriableError | FatalError | PersonNeededError)


def test_offsets_that_an_open_transaction_holds_back_are_told_apart() -> None:
    assert isinstance(translated(ck.KafkaError(ck.KafkaError.UNSTABLE_OFFSET_COMMIT), "try"), OpenTransactionError)


@pytest.mark.parametrize("seconds", [1, 20, 45, 80])
def test_all_times_follow_the_patience(seconds: float) -> None:
    times = Times(seconds)
    assert min(seconds, LONGEST_DEADLINE_S - 10) < times.deadline_s <= LONGEST_DEADLINE_S
    assert 10_000 <= times.transaction_ms <= 120_000
    assert times.transaction_ms / 1000 + 10 < Times.others_s(times.transaction_ms), "a broker looks each 10 s"
    assert Times().transaction_ms > 20_000, "a failover of Kafka takes 9 s and an election"


def test_one_outage_has_one_patience_however_many_calls_it_meets() -> None:
    now, calls = [0.0], [0]

    def fails() -> None:
        calls[0] += 1
        now[0] += 4
        raise RetriableError("away")

    patience = Patience(10, lambda: now[0])
    with pytest.raises(DeliveryError, match="for 10 s: away"):
        patience.retry(fails)
    first = calls[0]
    assert 3 <= first <= 5
    with pytest.raises(DeliveryError):
        patience.retry(fails)
    assert calls[0] == first + 1, "the next call of the same outage is not waited for anew"
    now[0] += 3600
    with pytest.raises(DeliveryError):
        patience.retry(fails)
    assert calls[0] >= first + 4, "an hour later it is another outage"


def test_a_call_that_hangs_is_left_behind_and_the_next_one_is_refused_at_once() -> None:
    hangs, called = threading.Event(), list[int]()

    def hang() -> None:
        hangs.wait(60)

    bounded = Bounded(0.2)
    bounded("first", lambda: called.append(1))
    with pytest.raises(FatalError, match="second: the client library has not returned"):
        bounded("second", hang)
    with pytest.raises(FatalError, match="second"):
        bounded("third", lambda: called.append(3))
    hangs.set()
    assert called == [1]


@pytest.mark.parametrize("error", [RetriableError("away"), TypeError("a fault of ours"), SystemExit(3)])
def test_a_call_raises_what_it_raised_whatever_that_is(error: BaseException) -> None:
    def fails() -> None:
        raise error

    bounded, called = Bounded(1), list[int]()
    with pytest.raises(type(error)) as caught:
        bounded("call", fails)
    assert caught.value is error
    bounded("next", lambda: called.append(1))
    assert called == [1]


def test_a_worker_without_a_partition_speaks_and_ends_where_it_ends_when_idle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    lone = Unassigned("applications", "credit", lambda: now[0])
    with caplog.at_level(logging.WARNING):
        assert lone.look(given=True) == 0
        now[0] = SPEAK_S - 1
        assert lone.look(given=False, stop_when_idle_s=1) == SPEAK_S - 1
        assert not caplog.records
        now[0] = SPEAK_S
        lone.look(given=False)
        lone.look(given=False)
    assert [r.getMessage().count("more workers than partitions") for r in caplog.records] == [1]
    now[0] = SPEAK_S + 1
    with pytest.raises(DeliveryError, match="no partition of applications in the group credit"):
        lone.look(given=False, stop_when_idle_s=1)


def test_the_watchdog_leaves_the_group_first_where_the_consumer_is_not_in_use() -> None:
    done, ended = list[str](), threading.Event()

    def end(message: str) -> None:
        done.append(message)
        ended.set()

    for step in ("write", "read"):
        ended.clear()
        dog = Watchdog(0.1, end)
        dog.leave_first(lambda: done.append("left"), ["write"])
        dog.alive(step)
        dog.start()
        assert ended.wait(60)
    assert [text[:8] for text in done] == ["left", "watchdog", "watchdog"]

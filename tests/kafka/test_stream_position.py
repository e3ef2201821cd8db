"""Where a worker begins on a real Apache Kafka, whatever the broker still knows of the group's offsets."""

import contextlib
import dataclasses
from collections.abc import Iterator

import pytest

from tests.kafka_broker import KafkaServer
from tests.places import Place, patiently, take
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture
def place(kafka: KafkaServer) -> Iterator[Place]:
    with contextlib.closing(Place.of(kafka)) as made:
        made.send(*[(b"k", b"v")] * 7)
        yield made


def test_decisions_whose_offset_the_broker_forgot_are_not_made_again(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    producer = place.by_hand()
    producer.send(place.decisions(2, 3))
    patiently(producer.commit)
    assert place.decide(3) == [4, 5, 6]
    assert place.decided() == [0, 1, 2, 3, 4, 5, 6]
    assert place.offsets().committed([0]) == {0: 7}


def test_what_the_broker_aborted_although_it_knows_the_offset_is_decided_again(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    end = place.offsets().watermarks(place.output, 0)[1]
    producer = place.by_hand()
    producer.send(place.decisions(2, 4))
    producer.flush(PATIENCE_S)
    producer = place.by_hand()  # which aborts
    producer.send(place.decisions(3))
    membership = place.offsets().membership()
    patiently(
        lambda: producer.send_offsets(
            place.input, {0: 5}, membership, {0: place.span()._replace(first=2, ends=(end,)).mark()}
        )
    )
    patiently(producer.commit)
    assert place.decide(4) == [2, 4, 5, 6], "3 is decided, 2 and 4 are not"
    assert sorted(place.decided()) == [0, 1, 2, 3, 4, 5, 6]


def commit_without_records(place: Place, offset: int, end: int, first: int) -> None:
    """As the late request of an earlier commit does, which commits the next transaction too early."""
    mark = place.span()._replace(first=first, ends=(end,)).mark()
    producer, membership = place.by_hand(), place.offsets().membership()
    patiently(lambda: producer.send_offsets(place.input, {0: offset}, membership, {0: mark}))
    patiently(producer.commit)


def test_messages_whose_offset_was_committed_without_their_records_are_decided(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    commit_without_records(place, 5, place.offsets().watermarks(place.output, 0)[1], 2)
    assert place.decide(5) == [2, 3, 4, 5, 6]
    assert place.decided() == [0, 1, 2, 3, 4, 5, 6]


def test_where_records_may_have_gone_the_offset_holds(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    end = place.offsets().watermarks(place.output, 0)[1]
    commit_without_records(place, 4, end, 2)
    compacted = dataclasses.replace(place, lasting=False)
    assert compacted.decide(1) == [4]
    commit_without_records(place, 6, place.offsets().watermarks(place.output, 0)[1] - 1, 5)
    place.delete_output()
    assert place.decide(1) == [6], "retention removed what was behind the mark"


def test_a_worker_that_dies_while_decided_messages_lie_ahead_leaves_them_known(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    producer = place.by_hand()
    producer.send(place.decisions(4, 6))
    patiently(producer.commit)
    assert place.decide(2, most=1) == [2, 3]
    assert place.decide(1) == [5]
    assert sorted(place.decided()) == [0, 1, 2, 3, 4, 5, 6]


def test_an_operator_who_sets_the_offset_back_has_all_decided_again(place: Place) -> None:
    assert place.decide(7) == [0, 1, 2, 3, 4, 5, 6]
    place.offsets().commit({0: 4})
    assert place.decide(3) == [4, 5, 6]
    assert place.decided() == [0, 1, 2, 3, 4, 5, 6, 4, 5, 6]


def test_an_operator_who_sets_the_offset_forward_has_messages_left_out(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    place.offsets().commit({0: 5})
    assert place.decide(2) == [5, 6]


def test_decisions_of_another_group_do_not_count(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    producer = place.by_hand()
    producer.send(place.decisions(2, 3, group="another"))
    patiently(producer.commit)
    assert place.decide(5) == [2, 3, 4, 5, 6]


def test_a_partition_begins_only_when_no_open_transaction_may_still_decide_something(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    producer = place.by_hand()
    producer.send(place.decisions(2))
    producer.flush(PATIENCE_S)
    consumer, _ = place.worker()
    assert wait_until(lambda: consumer.take(1, 0.1) and consumer.waiting)
    for _ in range(10):
        assert consumer.take(10, 0.1).messages == []
    assert (sorted(consumer.waiting), sorted(consumer.assigned)) == ([0], [1, 2, 3]), "it holds back only itself"
    assert "an open transaction holds back" in consumer.why[0]
    patiently(producer.commit)
    assert [m.offset for m in take(consumer, 4)] == [3, 4, 5, 6]
    consumer.close()

"""A link that breaks or is late at each kind of request, on the way there or back: each message is decided once."""

import dataclasses
import random
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from features.errors import DeliveryError
from stream.client.cluster import Admin
from stream.client.errors import PersonNeededError
from stream.client.producer import RecordProducer
from stream.client.records import Record
from stream.position.broker import GroupConsumer
from stream.position.standstill import Standstill
from stream.settings.client_settings import consumer_config, producer_config
from stream.settings.settings import GroupProtocol
from tests.kafka_broker import KafkaServer
from tests.places import Place, from_the_start, take
from tests.slow_link import Fault, Kind, Link, Once
from tests.waiting import PATIENCE_S, free_port, wait_until

COUNT = 16
CUT = Fault(Kind.CUT_BEFORE)
START = {"Metadata": 3, "FindCoordinator": 10, "InitProducerId": 22, "OffsetFetch": 9, "ListOffsets": 2, "Fetch": 1}
JOIN = {GroupProtocol.CONSUMER: {"Heartbeat": 68}, GroupProtocol.CLASSIC: {"JoinGroup": 11, "SyncGroup": 14}}
WRITE = {"Produce": 0, "AddPartitionsToTxn": 24, "AddOffsetsToTxn": 25, "TxnOffsetCommit": 28, "EndTxn": 26}


def nothing(_api: int, _frame: bytes) -> Fault | None:
    return None


@dataclasses.dataclass
class Linked:
    server: KafkaServer
    link: Link

    def place(self, protocol: GroupProtocol) -> tuple[Place, Place]:
        """The same topics, reached directly and by the link."""
        direct = dataclasses.replace(Place.of(self.server, receipts=True), protocol=protocol)
        return direct, dataclasses.replace(direct, address=f"127.0.0.1:{self.link.port}")


@pytest.fixture(scope="module")
def linked(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:  # noqa: ARG001
    with Link(free_port(), nothing) as link:
        timeouts = "transaction.abort.timed.out.transaction.cleanup.interval.ms=200\n"
        server = KafkaServer.behind(tmp_path_factory.mktemp("linked"), link.broker_port, link.port, timeouts).start()
        yield Linked(server, link)
        server.stop()


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [*((kind, GroupProtocol.CONSUMER) for kind in Kind), (Kind.CUT_BEHIND, GroupProtocol.CLASSIC)],
)
def test_each_message_is_decided_once_whatever_request_is_lost_or_late(
    linked: Linked, kind: Kind, protocol: GroupProtocol
) -> None:
    direct, by_link = linked.place(protocol)
    direct.send(*[(b"k", b"%d" % i) for i in range(COUNT)])
    linked.link.choose = once = Once(kind, 0.2, {*START.values(), *JOIN[protocol].values()}, [*WRITE.values()])
    decide(by_link)
    linked.link.choose = nothing
    assert (once.at_once, once.in_turn) == (set(), []), "every request was hit"
    assert direct.decided() == direct.decided(direct.receipts) == list(range(COUNT))


def test_offsets_that_come_after_the_end_of_their_transaction_are_refused(linked: Linked) -> None:
    direct, by_link = linked.place(GroupProtocol.CONSUMER)
    direct.send(*[(b"k", b"%d" % i) for i in range(COUNT)])
    linked.link.choose = once = Once(Kind.SLOW_THERE, 5.0, set(), [WRITE["TxnOffsetCommit"]])
    decide(by_link, {"transaction.timeout.ms": 2000, "delivery.timeout.ms": 2000, "socket.timeout.ms": 2000})
    linked.link.choose = nothing
    assert once.in_turn == []
    assert direct.decided() == direct.decided(direct.receipts) == list(range(COUNT))


def test_late_requests_of_a_transaction_that_failed_cannot_count_for_the_next_one(linked: Linked) -> None:
    """Each goes with an epoch of the producer of its own, which the broker tells apart."""
    place, _ = linked.place(GroupProtocol.CONSUMER)
    consumer, delivery = place.worker()
    good = Record(place.output, 0, b"k", b"v", ())
    too_large = Record(place.output, 1, b"k", random.Random(1).randbytes(2_000_000), ())  # noqa: S311
    for _ in range(2):
        with pytest.raises(PersonNeededError, match="MSG_SIZE_TOO_LARGE"):
            delivery.deliver([good, too_large], {}, consumer.membership())
    assert wait_until(lambda: len(linked.server.aborted_transactions(place.output)) == 2)
    consumer.close()


def test_a_partition_that_is_not_read_any_more_ends_the_worker(linked: Linked) -> None:
    """A client whose fetches do not get through says nothing and waits for ever."""
    direct, by_link = linked.place(GroupProtocol.CONSUMER)
    admin = Admin(by_link.settings().connection)
    config = consumer_config(by_link.settings(), "deaf", embedded=False)
    consumer = GroupConsumer(config, direct.input, from_the_start, 60, Standstill(direct.input, admin.ends, 1, 0.2))
    direct.send((b"k", b"v"))
    assert len(take(consumer, 1)) == 1
    for _ in range(20):  # nothing lies ahead
        assert not consumer.take(1, 0.1).messages
    linked.link.choose = lambda api, frame: CUT if api == START["Fetch"] and b"deaf" in frame else None
    for _ in range(20):  # a fetch that was under way is answered
        assert not consumer.take(1, 0.1).messages
    direct.send((b"k", b"v"))
    with pytest.raises(DeliveryError, match=r"partitions \[0\]: there are messages, but none has come"):
        take(consumer, 1)
    linked.link.choose = nothing
    consumer.close()


def decide(place: Place, producer: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Let a worker decide all messages, one in each transaction."""
    config = {**producer_config(place.settings().connection, transactional_id=place.group), **producer}
    consumer, delivery = place.worker(lambda: RecordProducer(config))
    done, end = set[int](), time.monotonic() + PATIENCE_S
    while len(done) < COUNT and time.monotonic() < end:
        delivery.tend()
        batch = consumer.take(1, 0.1)
        if batch.messages and delivery.deliver(
            place.copies(batch, place.positions.key), batch.offsets, batch.membership
        ):
            done.add(batch.messages[0].offset)
    consumer.close()

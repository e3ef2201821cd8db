"""Dead letters sent back in a transaction that a broker forgot in part, on a real Apache Kafka that holds one."""

import contextlib

import pytest

from scoring.message.decoder import Refusal
from stream.client.records import Message, Record
from stream.dead_letters import dead_letter, redriven
from stream.position.marks import Span
from stream.redrive import DeadLetters, Pending, Resend
from stream.settings.settings import StreamSettings
from tests.kafka_broker import KafkaServer, read_topic
from tests.kafka_wire import Stray
from tests.places import Place, patiently
from tests.waiting import PATIENCE_S

VALUES = [b"0", b"1", b"2", b"3"]
REFUSAL = Refusal(code="c", pointer="/p", expected="e")
LARGEST = 1_048_588


class Letters:
    """The dead letters of a place: its output is their topic."""

    def __init__(self, server: KafkaServer, place: Place) -> None:
        self.server, self.place = server, place
        self.group = f"{place.group}.dead-letters"

    @property
    def settings(self) -> StreamSettings:
        return self.place.settings(dead_letters=self.place.output, output="unused")

    def of(self, *values: bytes) -> list[Record]:
        refused = [Message(self.place.input, 0, 100 + i, b"k", v, (("trace", b"1"),), 0) for i, v in enumerate(values)]
        return [dead_letter(m, REFUSAL, self.place.output, self.place.group) for m in refused]

    def write(self, *values: bytes) -> None:
        producer = self.place.producer()
        producer.send(self.of(*values))
        producer.flush(PATIENCE_S)

    def first(self, *, sent: bool) -> Record:
        """What a redrive makes of the first dead letter."""
        (record,), (letter,) = self.of(VALUES[0]), self.place.messages(self.place.output, 0)
        own = Record(self.place.input, 0, record.key, record.value, record.headers[:1]) if sent else record
        return redriven(own, letter, self.group, LARGEST, self.span.key)

    @property
    def span(self) -> Span:
        return self.place.span(self.group, self.place.output)

    def forget(self, lost: set[str], *, sent: bool) -> None:
        """Settle the first dead letter as a redrive that is gone, but leave open what is `lost` of it."""
        mark = self.span._replace(first=0, ends=(0, len(VALUES))).mark()
        producer = self.place.by_hand(self.group)
        if "record" not in lost:
            producer.send([self.first(sent=sent)])
        if "offset" not in lost:
            membership = DeadLetters(self.settings)._group.membership()
            patiently(lambda: producer.send_offsets(self.place.output, {0: 1}, membership, {0: mark}))
        patiently(producer.commit)
        with contextlib.closing(Stray.of(self.server.port, self.group)) as stray:
            if "record" in lost:
                stray.write([self.first(sent=sent)])
            if "offset" in lost:
                stray.commit_offset(self.group, self.place.output, 1, mark)

    def back(self) -> list[bytes | None]:
        return [r.value for r in read_topic(self.place.address, self.place.input)]


class DiedError(RuntimeError):
    pass


def die(_pending: Pending) -> Resend:
    raise DiedError


def retry(pending: Pending) -> Resend:
    return Resend(pending.message.value)


@pytest.mark.parametrize(
    ("lost", "sent"),
    [({"record"}, True), ({"offset"}, True), ({"record", "offset"}, True), ({"record"}, False), ({"offset"}, False)],
    ids=["record", "offset", "both", "put back, record", "put back, offset"],
)
def test_what_a_broker_forgot_of_a_redrive_the_next_one_finds_out(
    believing: KafkaServer, lost: set[str], *, sent: bool
) -> None:
    with contextlib.closing(Place.of(believing)) as place:
        letters = Letters(believing, place)
        letters.write(*VALUES)
        with contextlib.closing(DeadLetters(letters.settings)) as first, pytest.raises(DiedError):
            first.redrive(die)
        letters.forget(lost, sent=sent)
        with contextlib.closing(DeadLetters(letters.settings, others_s=2)) as second:
            second.redrive(retry)
            assert list(second.pending()) == []
        assert sorted(v or b"" for v in letters.back()) == VALUES, "nothing twice, nothing left out"

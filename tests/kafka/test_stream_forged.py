"""Records of somebody else that claim to settle messages: they settle nothing, on a real Apache Kafka."""

import contextlib
import json
from collections.abc import Callable, Iterator

import confluent_kafka as ck
import pytest

from monitoring.live.door_metrics import StreamMetrics
from scoring.message.decoder import Refusal
from stream.client.records import Batch, Committed, Message, Record
from stream.dead_letters import claims_of_redrive, dead_letter, redriven, take_apart
from stream.position.marks import Span, claims_of_worker
from stream.position.proofs import FalseClaims, prove
from stream.redrive import DeadLetters, Pending, Resend
from stream.settings.settings import StreamSettings
from tests.conftest import PROJECT
from tests.kafka_broker import KafkaServer, read_topic
from tests.places import Place, patiently
from tests.stage import Stage, good
from tests.waiting import PATIENCE_S

REFUSAL = Refusal(code="c", pointer="/p", expected="e")


@pytest.fixture
def place(kafka: KafkaServer) -> Iterator[Place]:
    with contextlib.closing(Place.of(kafka, receipts=True)) as made:
        made.send(*[(b"k", b"v")] * 5)
        yield made


def write(address: str, topic: str, value: bytes | None, headers: dict[str, object], partition: int = 0) -> None:
    """As anyone can who may write to a topic."""
    producer = ck.Producer({"bootstrap.servers": address})
    pairs: list[tuple[str, str | bytes | None]] = [(name, str(text)) for name, text in headers.items()]
    producer.produce(topic, value, b"key", partition, headers=pairs)
    assert producer.flush(PATIENCE_S) == 0


def test_who_may_write_to_the_targets_cannot_have_messages_left_out_that_come_later(stage: Stage) -> None:
    source, output, dead = stage.topics
    stage.publish(*good(5))
    first = stage.worker()
    stage.wait_for(5)
    assert first.stop()[0] == 0
    names = ("topic", "partition", "offset", "stage", "exception.class.name", "exception.message", "code", "pointer")
    for offset in range(5, 10):
        place = {"topic": source, "partition": 0, "offset": offset}
        claim = {f"source_{name}": text for name, text in place.items()}
        write(stage.address, output, b"{}", {**claim, "source_group": stage.name})
        letter = {f"__connect.errors.{name}": str(place.get(name, "")) for name in (*names, "group")}
        write(stage.address, dead, b"{}", {**letter, "__connect.errors.group": stage.name})
    stage.publish(*good(7))
    second = stage.worker()
    stage.wait_for(12 + 5, 5)
    code, said = second.stop()
    assert code == 0
    assert said.count("claims to settle a message, without a proof") == 10
    assert f"{output} partition 0 offset" in said
    values = [r.value for r in read_topic(stage.address, output)]
    assert [v for v in values if v != b"{}"] == [*good(5), *good(7)]


Forgery = Callable[[Place], list[Record]]


def altered(record: Record, value: bytes) -> Record:
    return record._replace(value=value, parts=())


FORGERIES: dict[str, Forgery] = {
    "replayed for another message": lambda p: [
        r._replace(headers=[(n, b"6" if n == "source_offset" else v) for n, v in r.headers]) for r in p.decisions(1)
    ],
    "with another value": lambda p: [altered(r, b"another") for r in p.decisions(6)],
    "under another key": lambda p: [r._replace(key=b"another") for r in p.decisions(6)],
    "in the other topic": lambda p: [
        r._replace(topic=p.receipts if r.topic == p.output else p.output) for r in p.decisions(6)
    ],
    "with a guessed secret": lambda p: p.copies(Batch(p.messages(p.input, 6), None, {}), lambda _partition: b"0" * 16),
    "without a secret": lambda p: p.copies(Batch(p.messages(p.input, 6), None, {}), lambda _partition: b""),
    "about a message that is another by now": lambda p: p.copies(
        Batch([m._replace(value=b"former") for m in p.messages(p.input, 6)], None, {}), lambda _partition: p.span().key
    ),
}


@pytest.mark.parametrize("forgery", list(FORGERIES))
def test_evidence_that_is_forged_replayed_or_swapped_settles_nothing(place: Place, forgery: str) -> None:
    assert place.decide(5) == [0, 1, 2, 3, 4]
    place.send(*[(b"k", b"v")] * 3)
    before = len(read_topic(place.address, place.output)), len(read_topic(place.address, place.receipts))
    producer = place.by_hand()
    producer.send(FORGERIES[forgery](place))
    patiently(producer.commit)
    after = len(read_topic(place.address, place.output)), len(read_topic(place.address, place.receipts))
    counted: list[int] = []
    assert place.decide(3, counted=counted) == [5, 6, 7]
    assert counted
    assert len(read_topic(place.address, place.output)) - after[0] == 3
    assert len(read_topic(place.address, place.receipts)) - after[1] == 3
    assert before < after


def test_true_evidence_settles_and_what_is_replayed_after_an_operator_set_the_offset_does_not(place: Place) -> None:
    assert place.decide(2) == [0, 1]
    kept = place.decisions(2, 3)
    producer = place.by_hand()
    producer.send(kept)
    patiently(producer.commit)
    counted: list[int] = []
    assert place.decide(1, counted=counted) == [4]
    assert counted == []
    place.offsets().commit({0: 1})
    assert place.decide(1, most=1) == [1]
    producer = place.by_hand()
    producer.send(kept)
    patiently(producer.commit)
    assert place.decide(3, counted=counted) == [2, 3, 4], "the operator wants them decided again"
    assert len(counted) == 4


class Letters:
    """A topic of dead letters: the place's output."""

    def __init__(self, place: Place) -> None:
        self.place, self.group = place, f"{place.group}.dead-letters"

    @property
    def settings(self) -> StreamSettings:
        return self.place.settings(dead_letters=self.place.output, output="unused")

    def write(self, *values: bytes) -> None:
        refused = [Message(self.place.input, 0, 100 + i, b"k", v, (), 0) for i, v in enumerate(values)]
        producer = self.place.producer()
        producer.send([dead_letter(m, REFUSAL, self.place.output, self.place.group) for m in refused])
        producer.flush(PATIENCE_S)

    def redrive(self) -> dict[str, int]:
        with contextlib.closing(DeadLetters(self.settings)) as letters:
            return dict(letters.redrive(again))

    def pending(self) -> int:
        with contextlib.closing(DeadLetters(self.settings)) as letters:
            return len(list(letters.pending()))


def again(pending: Pending) -> Resend:
    return Resend(pending.message.value)


@pytest.mark.parametrize("kind", ["invented", "of another secret", "swapped"])
def test_who_may_write_to_the_input_cannot_settle_dead_letters(
    place: Place, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    letters = Letters(place)
    letters.write(b"0")
    assert letters.redrive() == {"sent as they were": 1}
    (first,) = [r for r in read_topic(place.address, place.input) if "redriven_from" in r.headers]
    for offset in range(1, 40):
        claim: dict[str, object] = {"redriven_from": f"{place.output} 0 {offset} {letters.group}"}
        if kind == "swapped":
            claim["redriven_proof"] = first.headers["redriven_proof"].decode()
        if kind == "of another secret":
            letter, record = (
                Message(place.output, 0, offset, b"k", b"1", (), 0),
                Record(place.input, 0, b"key", b"", ()),
            )
            claim["redriven_proof"] = f"{place.input} {prove(b'0' * 16, letters.group, letter, record).decode()}"
        write(place.address, place.input, b"", claim)
    letters.write(b"1", b"2", b"3")
    assert letters.pending() == 3
    assert letters.redrive() == {"sent as they were": 3}
    assert letters.pending() == 0
    sent = [r.value for r in read_topic(place.address, place.input) if r.value in (b"1", b"2", b"3")]
    assert sent == [b"1", b"2", b"3"]
    assert "claims to settle a message, without a proof" in caplog.text


def test_numbers_in_headers_that_are_none_claim_nothing() -> None:
    """Python refuses to read a number of more than 4,300 digits."""
    for text in (b"9" * 5000, "٣".encode(), b"-1", b"1_0", b" 1", b"", b"1e3"):
        headers = [("source_topic", b"in"), ("source_group", b"g"), ("source_partition", b"0"), ("source_offset", text)]
        assert claims_of_worker("in", "g")(Message("out", 0, 1, None, None, headers, 0)) is None
        back = [("redriven_from", b"dead 0 %b g" % text)]
        assert claims_of_redrive("dead", "g")(Message("in", 0, 1, None, None, back, 0)) is None
        letter = dead_letter(Message("in", 0, 7, b"k", b"v", (), 0), REFUSAL, "dead", "g")
        swapped = [(n, text if n.endswith(".offset") else v) for n, v in letter.headers]
        assert take_apart(Message("dead", 0, 1, b"k", b"v", swapped, 0)) is None
        assert Span.read(Committed(1, f"credit-1 {text.decode()} 1"), (0,)) is None


def old_records() -> tuple[str, list[Message]]:
    """The mark, and the records in which nothing is proven, as the first version wrote them."""
    kept = json.loads((PROJECT / "tests/stream_formats/1.json").read_text())
    records = [
        Message(
            *(r["topic"], r["partition"], i, r["key"].encode(), r["value"].encode()),
            [(name, text.encode()) for name, text in r["headers"]],
            0,
        )
        for i, r in enumerate(kept["records"])
    ]
    return kept["mark"], records


def test_records_of_the_first_version_are_read_and_make_no_message_be_left_out() -> None:
    """They show what is decided before the offset, so that a loss is seen; beyond it they are mere words."""
    mark, records = old_records()
    span = Span.read(Committed(4, mark), (0, 0, 0))
    assert span is not None
    assert (span.first, span.ends, span.key, span.until) == (2, (11, 12, 13), b"", 4)
    worker, redrive = claims_of_worker("applications", "group"), claims_of_redrive("letters", "group.dead-letters")
    claims = [(r, worker(r)) for r in records if r.topic != "applications"]
    assert [c and c.offset for _, c in claims] == [2, 3, 4, 2, 3, 4]
    assert [c is not None and span.believes(c, r) for r, c in claims] == [True, True, False, True, True, False]
    back = [c for c in map(redrive, records) if c is not None]
    assert [c.offset for c in back] == [7, 8]
    letter = take_apart(records[2])
    assert letter is not None
    assert (letter.code, letter.proof, letter.headers) == ("field_missing", b"", [("trace", b"1")])
    new = span._replace(key=b"0" * 16)
    assert not any(new.believes(c, r) for r, c in claims if c), "behind a mark of this version they prove nothing"


def test_a_mark_of_this_version_is_read_back_with_its_secret() -> None:
    span = Span.new(7, (1, 2))
    assert Span.read(Committed(9, span.mark()), (0, 0, 5)) == span._replace(ends=(1, 2, 5), until=9)
    for broken in (span.mark()[:-4], span.mark().replace(span.key.hex(), "00"), "credit-2", "credit-3 1 2", ""):
        assert Span.read(Committed(9, broken), (0, 0)) is None
    assert Span.new(7, (1,)).key != span.key


def test_false_claims_are_counted_once_each() -> None:
    metrics = StreamMetrics()
    false = FalseClaims(metrics.false_claim)
    for offset in (1, 2, 2, 1, 50):
        false(Message("out", 0, offset, None, None, (), 0))
    assert b"credit_stream_false_claims_total 3.0" in metrics.text()


def test_what_is_sent_back_claims_nothing_where_it_is_refused_once_more() -> None:
    key, letter = b"1" * 16, Message("dead", 0, 5, b"k", b"v", (), 0)
    back = redriven(Record("in", 0, b"k", b"v", ()), letter, "g", 10_000, key)
    claim = claims_of_redrive("dead", "g")
    there = Message("in", 0, 9, back.key, back.value, back.headers, 0)
    found = claim(there)
    assert found is not None
    assert found.proven(key, there)
    assert not found.proven(b"2" * 16, there)
    assert found.about(letter)
    assert not found.about(letter._replace(value=b"w"))
    refused = dead_letter(there, REFUSAL, "dead", "w", key)
    assert claim(Message("dead", 0, 6, refused.key, refused.value, refused.headers, 0)) is None

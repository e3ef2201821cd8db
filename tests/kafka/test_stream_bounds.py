"""What a worker takes in hand is bounded, whatever the bytes: headers, and batches that unfold."""

import json
from pathlib import Path

import confluent_kafka as ck
import pytest

from stream.client.records import MOST_HEADERS, Message
from stream.dead_letters import dead_letter
from stream.redrive import DeadLetters
from tests.kafka.test_stream_forged import REFUSAL
from tests.kafka_broker import KafkaServer, read_topic
from tests.places import Place, take
from tests.stage import Stage, bad, good
from tests.waiting import PATIENCE_S

MANY = 80_000
UNFOLDED = 110_000_000
HEADERS: list[tuple[str, str | bytes | None]] = [("h", b"")] * MANY


def peak_mb(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def test_headers_count_in_what_a_worker_has_in_hand(stage: Stage) -> None:
    """40 messages with 80,000 headers each took 16 MB a message; only some are kept, and said."""
    producer = ck.Producer({"bootstrap.servers": stage.address, "compression.type": "zstd", "linger.ms": 3_000})
    for i in range(40):
        producer.produce(stage.topics[0], b"bad" if i % 20 == 0 else b"good", b"key", 0, headers=HEADERS)
    assert producer.flush(PATIENCE_S) == 0
    worker = stage.worker()
    stage.wait_for(38, 2)
    assert peak_mb(worker.process.pid) < 500
    assert worker.stop()[0] == 0
    for letter in read_topic(stage.address, stage.topics[2]):
        assert len(letter.header_list) == MOST_HEADERS + 10
        assert b"79000 more of its headers were left out" in letter.headers["__connect.errors.exception.message"]


def test_a_batch_ends_at_so_many_bytes(kafka: KafkaServer) -> None:
    place = Place.of(kafka)
    place.send(*[(b"k", b"x" * 900_000)] * 80)
    consumer = place.consumer()
    batches = [len(take(consumer, 1, most=1))]
    while sum(batches) < 80:
        batches.append(len(consumer.take(2_000, 1).messages))
    consumer.close()
    assert max(batches) <= (32 << 20) // 900_000 + 17


def test_a_batch_that_cannot_be_unpacked_holds_only_its_partition_and_says_what_to_do(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"bootstrap.servers": stage.address, "message.max.bytes": 1_000_000_000, "batch.size": UNFOLDED * 2}
    queue = {"batch.num.messages": 100_000, "linger.ms": 5_000, "queue.buffering.max.kbytes": 1_000_000}
    bomb = ck.Producer({**settings, **queue, "compression.type": "zstd"})
    for _ in range(UNFOLDED // 100_000):
        bomb.produce(stage.topics[0], b"\0" * 100_000, b"key", 0)
    assert bomb.flush(PATIENCE_S) == 0
    stage.publish(*good(3), partition=0)
    stage.publish(*good(5), *bad(1), partition=1)
    worker = stage.worker()
    stage.wait_for(5, 1)
    assert worker.says("The other partitions go on.")
    code, said = worker.stop()
    assert code == 0
    assert f"{stage.topics[0]} partition 0 offset 0: _BAD_COMPRESSION" in said
    assert "--client receive.message.max.bytes=1000000000" in said
    assert said.count("_BAD_COMPRESSION") == 1
    code, said = stage.worker(stop_when_idle=1).ended()
    assert (code, "partition 0 offset 0" in said) == (9, True), "all is read but that: not an end like any other"
    monkeypatch.setenv("CREDIT_STREAM_CLIENT", json.dumps({"receive.message.max.bytes": "1000000000"}))
    code, said = stage.worker(stop_when_idle=1).ended()
    assert code == 0, said
    assert stage.found() == (8 + UNFOLDED // 100_000, 1)


def test_a_dead_letter_of_an_earlier_version_with_all_its_headers_is_still_one(kafka: KafkaServer) -> None:
    place = Place.of(kafka)
    message = Message(place.input, 0, 1, b"k", b"v", tuple((f"h{i}", b"1") for i in range(3 * MOST_HEADERS)), 0)
    producer = place.producer()
    producer.send([dead_letter(message, REFUSAL, place.output, place.group)])
    producer.flush(PATIENCE_S)
    letters = DeadLetters(place.settings(dead_letters=place.output, output="unused"))
    (pending,) = letters.pending()
    letters.close()
    assert pending.letter is not None
    assert len(pending.letter.headers) == 3 * MOST_HEADERS

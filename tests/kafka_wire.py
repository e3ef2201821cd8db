"""Writes that belong to a transaction which never began, in Kafka's own protocol: no client library would send them.

A broker that does not verify takes them (all did before 3.6), and they stay open for ever, since nobody is to end them:
late writes of a producer came about like that. What a killed broker forgets to end stays open in the same way.
"""

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from stream.client.records import Record
from tests.kafka_broker import RECORD_BATCH

TAKE_ANYTHING = "transaction.partition.verification.enable=false\n"  # a broker's setting

_PRODUCE, _INIT_PRODUCER_ID, _TXN_OFFSET_COMMIT = (0, 3), (22, 1), (28, 2)  # API keys, and versions without tags
_CONCURRENT_TRANSACTIONS = 51  # the former one is still being ended
_TRANSACTIONAL = 1 << 4
_ANSWER_S = 10.0


@dataclass(frozen=True)
class Stray:
    """Writes as the producer of a transactional id, fenced by the next one. It needs a broker that leads everything."""

    link: socket.socket
    transactional_id: str
    producer_id: int
    epoch: int

    @classmethod
    def of(cls, port: int, transactional_id: str) -> "Stray":
        """Become the producer of this transactional id; all that it had begun is ended then."""
        link, end = socket.create_connection(("127.0.0.1", port), _ANSWER_S), time.monotonic() + _ANSWER_S
        while True:
            answer = _ask(link, _INIT_PRODUCER_ID, _text(transactional_id) + struct.pack(">i", 60_000))
            error, producer_id, epoch = struct.unpack_from(">hqh", answer, 4)
            if error != _CONCURRENT_TRANSACTIONS or time.monotonic() > end:
                break
            time.sleep(0.05)
        _check(error)
        return cls(link, transactional_id, producer_id, epoch)

    def close(self) -> None:
        """Leave what was written as it is."""
        self.link.close()

    def write(self, records: Sequence[Record]) -> None:
        """Write records to the partition of the first, as this producer's first ones there."""
        batch = record_batch(records, self.producer_id, self.epoch)
        topic, partition = records[0].topic, records[0].partition
        to = _text(topic) + struct.pack(">iii", 1, partition, len(batch)) + batch
        acks_all, wait_ms = -1, 10_000
        body = _text(self.transactional_id) + struct.pack(">hii", acks_all, wait_ms, 1) + to
        answer = _ask(self.link, _PRODUCE, body)
        _check(*struct.unpack_from(">h", answer, 4 + 2 + len(topic) + 4 + 4))

    def commit_offset(self, group: str, topic: str, offset: int, mark: str) -> None:
        """Write the group's offset in partition 0."""
        producer = _text(self.transactional_id) + _text(group) + struct.pack(">qh", self.producer_id, self.epoch)
        of = _text(topic) + struct.pack(">iiqi", 1, 0, offset, -1) + _text(mark)
        answer = _ask(self.link, _TXN_OFFSET_COMMIT, producer + struct.pack(">i", 1) + of)
        _check(*struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4))


def record_batch(records: Sequence[Record], producer_id: int, epoch: int) -> bytes:
    """https://kafka.apache.org/documentation/#recordbatch: transactional, uncompressed, sequence numbers from 0."""
    now, last = int(time.time() * 1000), len(records) - 1
    written = b"".join(_record(i, record) for i, record in enumerate(records))
    length = RECORD_BATCH.size - 12 + len(written)

    def head(crc: int) -> bytes:
        of = (_TRANSACTIONAL, last, now, now, producer_id, epoch, 0, len(records))
        return RECORD_BATCH.pack(0, length, -1, 2, crc, *of)

    return head(crc32c(head(0)[21:] + written)) + written


def crc32c(data: bytes) -> int:
    """Castagnoli's, which zlib does not have; bit by bit, for a few hundred bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _record(offset: int, record: Record) -> bytes:
    headers = [_sized(name.encode()) + _sized(value) for name, value in record.headers]
    value = b"".join(record.parts) if record.parts else record.value
    body = b"\0" + _varint(0) + _varint(offset) + _sized(record.key) + _sized(value)
    return _sized(body + _varint(len(headers)) + b"".join(headers))


def _sized(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    rest, coded = number * 2 if number >= 0 else -number * 2 - 1, bytearray()
    while rest > 0x7F:
        coded.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*coded, rest])


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode("ascii")


def _ask(link: socket.socket, api: tuple[int, int], body: bytes) -> bytes:
    """Send a request, and return the answer behind the correlation id."""
    request = struct.pack(">hhi", *api, 1) + _text("stray") + body
    link.sendall(struct.pack(">i", len(request)) + request)
    with link.makefile("rb") as answers:
        (size,) = struct.unpack(">i", answers.read(4))
        return answers.read(size)[4:]


def _check(error: int) -> None:
    assert error == 0, f"the broker answers with its error code {error}"

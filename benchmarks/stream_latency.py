"""Milliseconds from publishing an application to its committed decision, at a steady rate; 30 events each, one core.

python -m benchmarks.stream_latency BUNDLE [PER_SECOND] [SECONDS]

The clock runs from the call that publishes to the arrival at a reader of committed records, in this one process.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import numpy as np

from benchmarks.stream_setup import INPUT_LIMIT, PARTITIONS, broker, messages_of_30_events, ours, reader
from stream.dead_letters import HEADROOM_BYTES
from tests.kafka_broker import KafkaServer

_WARM_UP_S = 5.0
Place = tuple[int, int]


class Publisher:
    """Publishes at a steady rate and notes when each message was handed over."""

    def __init__(self, server: KafkaServer, per_second: int, seconds: float) -> None:
        """`per_second` messages for `seconds`, after a warm-up that is not counted."""
        self.began: dict[Place, float] = {}
        self._per_second, self._count = per_second, int(per_second * (seconds + _WARM_UP_S))
        self._producer = ck.Producer({"bootstrap.servers": server.address, "linger.ms": 0})
        self._pairs = messages_of_30_events(1_000)

    def run(self) -> None:
        """Publish all."""
        start = time.perf_counter()
        for i in range(self._count):
            while (now := time.perf_counter()) < start + i / self._per_second:
                self._producer.poll(0.0005)
            key, value = self._pairs[i % len(self._pairs)]
            self._producer.produce("applications", value, key, on_delivery=self._noting(now, i))
        self._producer.flush()

    def _noting(self, at: float, i: int) -> Any:
        counted = i >= self._per_second * _WARM_UP_S

        def note(error: ck.KafkaError | None, m: ck.Message) -> None:
            if error is None and counted:
                self.began[m.partition() or 0, m.offset() or 0] = at

        return note


def publish_all(publisher: "Publisher", ended: threading.Event) -> None:
    """Publish, then say so."""
    publisher.run()
    ended.set()


def arrivals(server: KafkaServer, ended: threading.Event) -> dict[Place, float]:
    """Read decisions until nothing more comes after the end of publishing."""
    consumer, seen, quiet_since = reader(server, "decisions"), {}, time.perf_counter()
    while not (ended.is_set() and time.perf_counter() - quiet_since > 3):
        m = consumer.poll(0.05)
        if m is None or m.error() is not None:
            continue
        quiet_since = time.perf_counter()
        headers = dict(m.headers() or [])
        seen[int(headers["source_partition"]), int(headers["source_offset"])] = quiet_since  # type: ignore[arg-type]
    consumer.close()
    return seen


def main() -> None:
    """Print the percentiles."""
    bundle = Path(sys.argv[1]).resolve()
    per_second, seconds = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 500), (3, 30)))
    with broker() as server:
        server.create("applications", "decisions", partitions=PARTITIONS)
        server.create("dead", partitions=PARTITIONS, largest_message=INPUT_LIMIT + HEADROOM_BYTES)
        publisher, ended = Publisher(server, per_second, seconds), threading.Event()
        contender = ours(bundle, server, ("applications", "decisions", "dead"), "latency")
        with contender.started():
            time.sleep(5)
            thread = threading.Thread(target=publish_all, args=(publisher, ended))
            thread.start()
            seen = arrivals(server, ended)
            thread.join()
    took = np.array([seen[place] - at for place, at in publisher.began.items() if place in seen]) * 1000
    p50, p99, worst = np.percentile(took, [50, 99, 100])
    sys.stdout.write(
        f"{len(took):,} decisions at {per_second}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {worst:.0f} ms\n"
    )


if __name__ == "__main__":
    main()

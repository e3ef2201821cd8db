"""What a history store costs and saves at the doors: `python -m benchmarks.history_doors CUSTOMERS [BUNDLE]`.

A store of so many customers with 40 made-up events each, and of a synthetic lender, whose applications are
asked for: with their 30 events in the message, and without them. REST at 500 requests a second, the stream as fast as
it goes, each on one core; then events at 2,000 a second, until a look-up sees them, and as fast as a producer sends
them, for what one costs the consumer. Prints JSON, with the load.
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import msgspec
import numpy as np
import polars as pl
import psutil

from benchmarks.history_speed import made_up
from benchmarks.rest_speed import PORT, RATE, load, serving
from benchmarks.score_end_to_end import make_model
from benchmarks.stream_setup import INPUT_LIMIT, PARTITIONS, Contender, broker, fill, messages_of_30_events, ours
from history import HistoryStore, Loading, create_store, load_events, open_store
from scoring.bundle import read_bundle
from stream.dead_letters import HEADROOM_BYTES
from tests.kafka_broker import PROJECT, KafkaServer

_LENDER = 2_000  # customers whose applications are asked for
_SECONDS = 10.0
_PER_SECOND = 2_000
_MESSAGES = 20_000
_BURST = 200_000  # events sent as fast as it goes
Pairs = Sequence[tuple[bytes, bytes]]


def main(bundle: Path, customers: int) -> None:
    """Measure and print."""
    spec = read_bundle(bundle).spec
    carried = messages_of_30_events(_LENDER)
    bare = [(name, without_events(body)) for name, body in carried]
    found: dict[str, Any] = {"customers": customers, "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="credit-history-bench-") as temporary:
        folder = Path(temporary)
        store = create_store(str(folder / "store"), spec)
        others = made_up(customers, spec.event_kinds).with_columns(
            pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), pl.col("amount").cast(pl.String)
        )
        table = pl.concat([events_of(carried), others], how="diagonal")
        load_events(store, table, spec, Loading(fingerprint="made up", until={}))
        store.close()
        for name, pairs, more in (("carried", carried, []), ("history", bare, ["--history", str(folder / "store")])):
            found[f"rest_{name}"] = rest(bundle, folder, pairs, more)
        with broker() as server:
            found["stream_per_cpu_s"] = stream(bundle, server, folder / "store", carried, bare)
            store = create_store(str(folder / "fresh"), spec)
            store.close()
            found["events"] = events(server, folder / "fresh")
    found["load_after"] = os.getloadavg()[0]
    sys.stdout.write(json.dumps(found) + "\n")


def without_events(body: bytes) -> bytes:
    """Return an application that brings no events."""
    return msgspec.json.encode({k: v for k, v in msgspec.json.decode(body).items() if k != "events"})


def events_of(pairs: Pairs) -> pl.DataFrame:
    """Return the events that messages carry, once for each customer."""
    found = {name.decode(): msgspec.json.decode(body)["events"] for name, body in pairs}
    rows = [{"customer_id": name} | event for name, events in found.items() for event in events]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.all().cast(pl.String))


def rest(bundle: Path, folder: Path, pairs: Pairs, more: list[str]) -> dict[str, Any]:
    """Ask the door at a fixed rate; memory is what is the process's own, without the pages of a mapped file."""
    bodies = folder / "bodies"
    bodies.write_bytes(b"\n".join(body for _, body in pairs))
    command = [sys.executable, "-m", "cli.main", "serve", "--no-auth", "--rate-limit", "0", "--port", str(PORT)]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    with serving([*command, "--bundle", str(bundle), *more], "/readyz", environment) as door:
        before = door.core_seconds()
        seen = load("/v1/score", bodies, 64, _SECONDS, RATE)
        core = 1e6 * (door.core_seconds() - before) / seen["requests"]
        own = psutil.Process(door.process.pid).memory_full_info().uss
    return {**seen, "core_us": round(core), "uss_mb": round(own / 1e6)}


def stream(bundle: Path, server: KafkaServer, store: Path, carried: Pairs, bare: Pairs) -> dict[str, float]:
    """Return messages for each second of the worker's own CPU time, with events in the message and without."""
    rates = {}
    for name, pairs, more in (("carried", carried, ()), ("history", bare, ("--history", str(store)))):
        server.create(name, f"{name}-out", partitions=PARTITIONS)
        server.create(f"{name}-dead", partitions=PARTITIONS, largest_message=INPUT_LIMIT + HEADROOM_BYTES)
        fill(server, name, pairs, _MESSAGES)
        worker = ours(bundle, server, (name, f"{name}-out", f"{name}-dead"), name, *more)
        worker.run(server, f"{name}-out", int(_MESSAGES * 0.95))
        rates[name] = round(worker.per_cpu_second)
    return {**rates, "ratio": round(rates["history"] / rates["carried"], 2)}


def events(server: KafkaServer, store: Path) -> dict[str, float]:
    """Return how long after it was handed to the producer an event is seen by whoever reads the store, and its cost."""
    server.create("events", "events-dead", partitions=PARTITIONS)
    server.create("events-control", partitions=1)
    flags = ["--topic", "events", "--control", "events-control", "--dead-letters", "events-dead"]
    where = ["--store", str(store), "--brokers", server.address, "--complete-since", "2020-01-01"]
    command = [sys.executable, "-m", "cli.main", "history", "consume", *where, *flags]
    with (
        Contender("history consume", command).started() as process,
        contextlib.closing(open_store(str(store))) as opened,
    ):
        while not opened.state().heartbeat:
            time.sleep(0.1)
        consumer, cpu_s = psutil.Process(process.pid), []
        for count, per_second in ((int(_PER_SECOND * _SECONDS), _PER_SECOND), (_BURST, float("inf"))):
            sent: dict[tuple[int, int], float] = {}
            before = sum(consumer.cpu_times()[:2])
            thread = threading.Thread(target=publish, args=(server, sent, count, per_second))
            thread.start()
            seen = watch(opened, thread, sent)
            cpu_s.append(sum(consumer.cpu_times()[:2]) - before)
            if per_second == _PER_SECOND:
                took = [1000 * (first_after(seen[p], offset) - at) for (p, offset), at in sent.items()]
    p50, p99 = np.percentile(took, [50, 99])
    return {
        "visible_ms_p50": round(p50, 1),
        "visible_ms_p99": round(p99, 1),
        f"per_core_s_at_{_PER_SECOND}": round(len(took) / cpu_s[0]),
        "per_core_s_at_full_speed": round(_BURST / cpu_s[1]),
    }


def publish(server: KafkaServer, sent: dict[tuple[int, int], float], count: int, per_second: float) -> None:
    """Publish events at a steady rate; note by place when each was handed over."""
    producer = ck.Producer({"bootstrap.servers": server.address, "linger.ms": 0})
    start = time.perf_counter()
    for i in range(count):
        while (now := time.perf_counter()) < start + i / per_second:
            producer.poll(0.0005)
        if i % 1_000 == 0:
            producer.poll(0)  # else the queue of a burst fills
        event = {"customer_id": f"C{i % 5_000}", "occurred_at": "2025-01-01", "kind": "salary", "amount": "1.00"}

        def note(_error: object, m: ck.Message, now: float = now) -> None:
            sent[m.partition() or 0, m.offset() or 0] = now

        while True:
            try:
                producer.produce("events", json.dumps(event), event["customer_id"], on_delivery=note)
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush(60)


def watch(
    store: HistoryStore, thread: threading.Thread, sent: dict[tuple[int, int], float]
) -> dict[int, list[tuple[int, float]]]:
    """Look at the store again and again until all is there; return by partition where it was, and when."""
    seen: dict[int, list[tuple[int, float]]] = {p: [] for p in range(PARTITIONS)}
    while thread.is_alive() or any(seen[p][-1][0] <= at for p, at in sent):
        positions, now = store.state().positions, time.perf_counter()
        for p, known in seen.items():
            at = positions.get(str(p), 0)
            if not known or known[-1][0] < at:
                known.append((at, now))
        time.sleep(0.001)
    return seen


def first_after(seen: list[tuple[int, float]], offset: int) -> float:
    """Return when a position behind an offset was seen first."""
    return next(at for position, at in seen if position > offset)


if __name__ == "__main__":
    given = Path(sys.argv[2]) if len(sys.argv) > 2 else make_model(Path("/tmp/credit-bench")) / "bundle"  # noqa: S108
    main(given.resolve(), int(sys.argv[1]))

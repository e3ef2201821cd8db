"""Three brokers: one worker beside a plain transactional loop with the same Scorer, then two workers beside one.

    python -m benchmarks.stream_cluster BUNDLE [MESSAGES]

Three copies, two in sync; 30 events each. One worker runs on the first core alone, two on the first and second, where
there are so many; the brokers on all others, or on the last core where there are two. Decisions are counted as a reader
of committed records sees them.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.stream_setup import PARTITIONS, Contender, fill, messages_of_30_events, ours, reader
from tests.kafka_cluster import KafkaCluster, three_brokers


def main() -> None:
    """Start three brokers and measure."""
    bundle, count = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 60_000
    with tempfile.TemporaryDirectory(prefix="benchmark-cluster-") as folder, three_brokers(Path(folder)) as cluster:
        cores = sorted(os.sched_getaffinity(0))
        brokers = cores[2:] or cores[-1:]
        for node in cluster.nodes.values():
            for thread in psutil.Process(node.process.pid).threads():
                os.sched_setaffinity(thread.id, brokers)
        sys.stdout.write(f"brokers on cores {brokers} of {cores}\n")
        measure(cluster, bundle, count)


def measure(cluster: KafkaCluster, bundle: Path, count: int) -> None:
    """Print a line for each contender, and two ratios."""
    cores = sorted(os.sched_getaffinity(0))
    cluster.create("benchmarked", partitions=PARTITIONS)
    size = fill(cluster, "benchmarked", messages_of_30_events(2_000), count)  # type: ignore[arg-type]
    sys.stdout.write(f"{count:,} messages, {size:,.0f} bytes\n")
    rates = {name: one(cluster, contender(cluster, bundle, name), name, count) for name in ("plain", "ours")}
    sys.stdout.write(f"ours / plain: {rates['ours'] / rates['plain']:.2f}x\n")
    single, double = (workers(cluster, bundle, count, cores[:n]) for n in (1, 2))
    sys.stdout.write(f"one worker {single:,.0f}/s, two {double:,.0f}/s: {double / single:.2f}x\n")


def contender(cluster: KafkaCluster, bundle: Path, name: str) -> Contender:
    """Make its topics, and the contender."""
    cluster.create(f"out-{name}", partitions=PARTITIONS)
    cluster.create(f"dead-{name}", partitions=PARTITIONS, roomy=True)
    topics = ("benchmarked", f"out-{name}", f"dead-{name}")
    if name == "plain":
        module = [sys.executable, "-m", "benchmarks.stream_plain_transactions"]
        return Contender("plain transactional loop", [*module, str(bundle), cluster.address, *topics])
    return ours(bundle, cluster, topics, name)  # type: ignore[arg-type]


def one(cluster: KafkaCluster, made: Contender, name: str, count: int) -> float:
    """Let one contender decide all, on one core."""
    rate = made.run(cluster, f"out-{name}", int(count * 0.99))  # type: ignore[arg-type]
    sys.stdout.write(f"{made.name:<34} {rate:>8,.0f}/s  {made.per_cpu_second:>8,.0f} per CPU second\n")
    sys.stdout.flush()
    return rate


def workers(cluster: KafkaCluster, bundle: Path, count: int, cores: list[int]) -> float:
    """Let as many workers as cores decide all; messages a second from the first decision to the last."""
    name = f"workers-{len(cores)}"
    command = contender(cluster, bundle, name).command
    consumer, seen, first, last = reader(cluster, f"out-{name}"), 0, 0.0, 0.0  # type: ignore[arg-type]
    with ExitStack() as stack:
        for core in cores:
            pinned = ["/usr/bin/taskset", "-c", str(core), *command]
            process = stack.enter_context(subprocess.Popen(pinned, stderr=subprocess.DEVNULL))  # noqa: S603
            stack.callback(process.terminate)
        while seen < int(count * 0.99):
            arrived = len(consumer.consume(5000, 0.05))
            if arrived:
                last = time.monotonic()
                first, seen = first or last, seen + arrived
    consumer.close()
    return seen / max(last - first, 1e-9)


if __name__ == "__main__":
    main()

"""What receipts cost the stream door: the same worker with receipts off and on, in turn, in one run on one broker.

    python -m benchmarks.stream_receipts BUNDLE [MESSAGES] [ROUNDS]

Messages of 30 events, a real Apache Kafka, exactly once, the worker on one core; then `credit log consume` takes the
receipts into a log. Prints messages a second between the first and last decision, and for each second of CPU time.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.stream_setup import INPUT_LIMIT, PARTITIONS, broker, fill, messages_of_30_events, ours
from stream.dead_letters import HEADROOM_BYTES
from tests.kafka_broker import PROJECT, KafkaServer


def run(server: KafkaServer, bundle: Path, count: int, name: str, *, receipts: bool) -> tuple[float, float]:
    """Return messages a second, and a second of CPU time, of a worker on topics of its own."""
    topics = ("applications", f"out-{name}", f"dead-{name}")
    server.create(topics[1], partitions=PARTITIONS)
    server.create(topics[2], f"receipts-{name}", partitions=PARTITIONS, largest_message=INPUT_LIMIT + HEADROOM_BYTES)
    more = ("--receipts", f"receipts-{name}") if receipts else ()
    worker = ours(bundle, server, topics, name, *more)
    return worker.run(server, topics[1], int(count * 0.99)), worker.per_cpu_second  # the rest may be dead letters


def consume(server: KafkaServer, bundle: Path, topic: str) -> tuple[int, float]:
    """Return how many receipts were sealed, and how many a second of the whole process."""
    with tempfile.TemporaryDirectory(prefix="benchmark-log-") as folder:
        where = ["--brokers", server.address, "--topic", topic, "--log", f"{folder}/log", "--bundles", str(bundle)]
        command = [sys.executable, "-m", "cli.main", "log", "consume", *where, "--stop-when-idle", "1"]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S603
        took = time.perf_counter() - began - 1
        sealed = sum(int(line.split(": ")[1].split()[0].replace(",", "")) for line in done.stdout.splitlines())
        return sealed, sealed / took


def main() -> None:
    """Print a line for each run, then the ratio of the medians."""
    bundle = Path(sys.argv[1]).resolve()
    count, rounds = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 30_000), (3, 3)))
    rates: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with broker() as server:
        server.create("applications", partitions=PARTITIONS)
        fill(server, "applications", messages_of_30_events(), count)
        for number in range(rounds):
            for receipts in (False, True):
                rates[receipts].append(run(server, bundle, count, f"{number}-{receipts}", receipts=receipts))
                clock, cpu = rates[receipts][-1]
                said = f"receipts {'on' if receipts else 'off'}: {clock:,.0f} a second, {cpu:,.0f} per CPU second\n"
                sys.stdout.write(said)
                sys.stdout.flush()
        sealed, per_second = consume(server, bundle, "receipts-0-True")
    clock, cpu = (
        statistics.median(r[i] for r in rates[True]) / statistics.median(r[i] for r in rates[False]) for i in (0, 1)
    )
    sys.stdout.write(f"on against off: {clock:.2f}x by the clock, {cpu:.2f}x by CPU time\n")
    sys.stdout.write(f"credit log consume: {sealed:,} receipts, {per_second:,.0f} a second\n")


if __name__ == "__main__":
    main()

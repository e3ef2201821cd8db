"""Applications a second through the stream door, beside a plain loop and Quix Streams; 30 events each, one core.

python -m benchmarks.stream_throughput BUNDLE [MESSAGES] [--against CHECKOUT]

Real Apache Kafka, the topic filled beforehand; decisions counted as a reader of committed records sees them, from the
first to the last. Every contender scores with the same bundle. `--against`: the checkout of another commit; its worker
runs instead of the plain loop and Quix Streams, in turn with ours, on a bundle that both read.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.stream_setup import INPUT_LIMIT, PARTITIONS, Contender, broker, fill, messages_of_30_events, ours
from stream.dead_letters import HEADROOM_BYTES
from tests.kafka_broker import PROJECT, KafkaServer

_QUIX_MESSAGES = 20_000  # it commits every 5 s, and a rate needs several commits


def quix_python(folder: Path) -> Path:
    """Make an environment with Quix Streams and what the Scorer needs, once."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        needs = ["quixstreams", *(f"{name}" for name in ("msgspec", "numpy", "onnxruntime", "polars"))]
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *needs], check=True)  # noqa: S603
    return python


def contenders(bundle: Path, server: KafkaServer, source: str) -> list[tuple[Contender, str, bool]]:
    """Each with its output topic, and whether it gets all messages or few, being slow."""
    plain = [
        sys.executable,
        "-m",
        "benchmarks.stream_plain",
        str(bundle),
        server.address,
        source,
        "plain",
        "dead-plain",
    ]
    quix = [str(quix_python(PROJECT / ".kafka/quix")), "-m", "benchmarks.stream_quix", str(bundle), server.address]
    return [
        (ours(bundle, server, (source, "ours", "dead-ours"), "ours"), "ours", True),
        (Contender("plain loop of 500, at-least-once", plain), "plain", True),
        (Contender("Quix Streams, exactly-once", [*quix, source, "quix"]), "quix", False),
    ]


def in_turn(bundle: Path, server: KafkaServer, source: str, checkout: Path) -> list[tuple[Contender, str, bool]]:
    """Return the worker of this checkout, that of another, and both again."""
    found = []
    for turn in ("1", "2"):
        here = ours(bundle, server, (source, f"ours{turn}", f"dead-ours{turn}"), f"ours{turn}")
        there = ours(bundle, server, (source, f"theirs{turn}", f"dead-theirs{turn}"), f"theirs{turn}")
        there.name = f"that of {checkout.name}"
        there.command = ["/usr/bin/env", f"--chdir={checkout}", f"PYTHONPATH={checkout}", *there.command]
        found += [(here, f"ours{turn}", True), (there, f"theirs{turn}", True)]
    return found


def main(bundle: Path, count: int, against: Path | None) -> None:
    """Print a table."""
    with broker() as server:
        server.create("applications", "ours", "plain", "quix", partitions=PARTITIONS)
        turns = ("ours1", "ours2", "theirs1", "theirs2")
        server.create(*turns, partitions=PARTITIONS)
        dead = ("dead-ours", "dead-plain", *(f"dead-{name}" for name in turns))
        server.create(*dead, partitions=PARTITIONS, largest_message=INPUT_LIMIT + HEADROOM_BYTES)
        size = fill(server, "applications", messages_of_30_events(), count)
        sys.stdout.write(f"{count:,} messages of 30 events, {size:,.0f} bytes on average; worker on one core\n")
        found = contenders(bundle, server, "applications")
        if against is not None:
            found = in_turn(bundle, server, "applications", against)
        first = 0.0
        for contender, output, everything in found:
            expected = int((count if everything else _QUIX_MESSAGES) * 0.99)  # the rest may be dead letters
            rate = contender.run(server, output, expected)
            first = first or rate
            largest = max(resident for _, resident in contender.resident) / 2**20
            sys.stdout.write(
                f"{contender.name:<36} {rate:>8,.0f}/s  {contender.per_cpu_second:>8,.0f} per CPU second  "
                f"{largest:>5,.0f} MiB  {first / rate:.2f}x\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("messages", type=int, nargs="?", default=100_000)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    main(given.bundle.resolve(), given.messages, given.against and given.against.resolve())

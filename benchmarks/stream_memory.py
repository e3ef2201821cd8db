"""Resident memory of a worker over many messages: python -m benchmarks.stream_memory BUNDLE [MESSAGES, 1000000]."""

import sys
from pathlib import Path

from benchmarks.stream_setup import INPUT_LIMIT, PARTITIONS, broker, fill, messages_of_30_events, ours
from stream.dead_letters import HEADROOM_BYTES


def main() -> None:
    """Print the memory at each tenth."""
    bundle, count = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with broker() as server:
        server.create("applications", "decisions", partitions=PARTITIONS)
        server.create("dead", partitions=PARTITIONS, largest_message=INPUT_LIMIT + HEADROOM_BYTES)
        fill(server, "applications", messages_of_30_events(), count)
        contender = ours(bundle, server, ("applications", "decisions", "dead"), "memory")
        rate = contender.run(server, "decisions", int(count * 0.99))
        for tenth in range(1, 11):
            resident = [size for seen, size in contender.resident if seen <= count * tenth / 10]
            sys.stdout.write(
                f"{count * tenth // 10:>9,} messages: {resident[-1] / 1e6:.0f} MB, most {max(resident) / 1e6:.0f} MB\n"
            )
        sys.stdout.write(f"{rate:,.0f}/s\n")


if __name__ == "__main__":
    main()

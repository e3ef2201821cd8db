"""Fill a history store and read it: `python -m benchmarks.history_speed CUSTOMERS [--store ADDRESS]`.

Made-up events, 40 a customer, shuffled: loaded, then read for random customers one by one and 256 at a time, then
appended in the order of a topic. Prints JSON: seconds, events a second, microseconds, bytes on disk.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from features.spec.file import parse_spec
from history import Change, HistoryStore, Loading, Places, clean, create_store, load_events
from recipes.synthetic import synthetic

_EVENTS = 40
_ROUND = 256
_READS = 2_000
_STEADY = 2_000  # events in one transaction: those of a tenth of a second at 20,000 a second
_STEPS = 10


def main(customers: int, address: str) -> None:
    """Measure and print."""
    spec = parse_spec(synthetic(50, seed=1).spec_text)
    table = made_up(customers, spec.event_kinds)
    store = create_store(address, spec)
    began = time.perf_counter()
    load_events(store, table, spec, Loading(fingerprint="made up", until={}))
    load_s = time.perf_counter() - began
    random = np.random.default_rng(5)
    names = [f"C{number:08d}" for number in random.integers(0, customers, _READS)]
    single = sorted(seconds(lambda name=name: store.read([name])) for name in names)  # type: ignore[misc]
    rounds = [names[start : start + _ROUND] for start in range(0, _READS - _ROUND + 1, _ROUND)]
    together = sorted(seconds(lambda some=some: store.read(some)) for some in rounds)  # type: ignore[misc]
    core_s = -time.process_time()
    steady_s = steady(store, table.sample(_STEADY * _STEPS, with_replacement=True, seed=7))
    core_s += time.process_time()
    folder = Path(address)
    result = {
        "customers": customers,
        "events": table.height,
        "load_s": round(load_s, 2),
        "load_events_per_s": round(table.height / load_s),
        "read_us_p50": round(1e6 * single[len(single) // 2], 1),
        "read_us_p99": round(1e6 * single[int(len(single) * 0.99)], 1),
        "round_of_256_ms_p50": round(1e3 * together[len(together) // 2], 2),
        "steady_events_per_s": round(_STEADY * _STEPS / steady_s),
        "steady_events_per_core_s": round(_STEADY * _STEPS / core_s),
        "bytes": sum(p.stat().st_blocks * 512 for p in folder.iterdir()) if folder.is_dir() else None,
    }
    store.close()
    sys.stdout.write(json.dumps(result) + "\n")


def made_up(customers: int, kinds: tuple[str, ...]) -> pl.DataFrame:
    """Return a table of events in random order."""
    random, count = np.random.default_rng(3), customers * _EVENTS
    owners = random.permutation(np.repeat(np.arange(customers), _EVENTS))
    return pl.DataFrame(
        {
            "customer_id": owners,
            "occurred_at": pl.Series(random.integers(1_700_000_000, 1_760_000_000, count) * 1_000_000).cast(
                pl.Datetime("us", "UTC")
            ),
            "kind": pl.Series(random.integers(0, len(kinds), count)).replace_strict(range(len(kinds)), kinds),
            "amount": random.integers(-1_000, 1_000, count),
        }
    ).with_columns(customer_id=pl.format("C{}", pl.col("customer_id").cast(pl.String).str.zfill(8)))


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def steady(store: HistoryStore, table: pl.DataFrame) -> float:
    """Clean and write events in transactions of a few, as while a topic is followed; return the seconds."""
    began, state = time.perf_counter(), store.state()
    for start in range(0, table.height, _STEADY):
        part = table[start : start + _STEADY]
        offsets = np.arange(start, start + part.height)
        places = Places(np.zeros(part.height, np.int64), offsets, np.zeros(part.height, np.int64))
        cleaned = clean(part, places, store.settings.spec, state.kinds)
        after = msgspec.structs.replace(
            state, positions={**state.positions, "0": start + part.height}, kinds=cleaned.kinds
        )
        store.apply(Change(before=state, after=after, events=cleaned.events))
        state = after
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers", type=int)
    parser.add_argument("--store", default="", help="postgresql://...; else a folder that is removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="credit-history-bench-") as temporary:
        main(given.customers, given.store or f"{temporary}/store")

"""RFM features against DuckDB and pandas, one thread each, the same integers in, outputs checked equal.

    python -m benchmarks.rfm_speed [--events 20000000] [--applications 500000]

Three groups of kinds, windows of 30, 90 and 365 days, recency, counts, sums, smallest and largest: 39 features. Three
cases: one application per customer, eight, and one with events that arrive sorted by customer and time. The baselines
are what an expert writes in an hour: in DuckDB one join on customer and the longest window with filtered aggregates; in
pandas one merge, one mask per window and group, and group-bys of it. Each is timed as the better of two runs.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from features.event_arrays import History
from features.rfm.quantities import rfm_columns, rfm_features
from features.spec.contract import MICROSECONDS_PER_DAY, RfmGroup, Spec
from features.spec.file import parse_spec

SPEC = parse_spec("""
spec_version = 1
name = "rfm-speed"
classes = ["Poor", "Good"]
currency = { code = "EUR", minor_digits = 2 }
events = { kinds = ["salary", "purchase", "instalment", "late_fee", "overdraft"] }
policy.costs = { Poor = { Poor = 0, Good = 1 }, Good = { Poor = 1, Good = 0 } }
score = { base_score = 600, base_odds = 1, points_to_double_odds = 50 }
[rfm.income]
kinds = ["salary"]
windows_days = [30, 90, 365]
recency = true
frequency = true
monetary = ["sum", "min", "max"]
[rfm.spending]
kinds = ["purchase", "instalment"]
windows_days = [30, 90, 365]
recency = true
frequency = true
monetary = ["sum", "min", "max"]
[rfm.trouble]
kinds = ["late_fee", "overdraft"]
windows_days = [30, 90, 365]
recency = true
frequency = true
monetary = ["sum", "min", "max"]
""")
NOW = 1_750_000_000_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """Applications as (customer, as_of) and events as `features.rfm.events` gives them."""

    name: str
    customers: np.ndarray[Any, Any]
    as_of: np.ndarray[Any, Any]
    events: pl.DataFrame


def make_case(name: str, events: int, applications: int, per_customer: int, *, in_order: bool = False) -> Case:
    """Draw events over 400 days; each customer applies `per_customer` times within the last 30."""
    generator = np.random.default_rng(0)
    people = applications // per_customer
    table = pl.DataFrame(
        {
            "customer": generator.integers(0, people, events),
            "occurred_at": NOW - generator.integers(0, 400 * MICROSECONDS_PER_DAY, events),
            "kind": generator.choice(5, events, p=[0.15, 0.5, 0.2, 0.05, 0.1]),
            "amount": generator.integers(-500_000, 500_000, events),
        }
    )
    return Case(
        name=name,
        customers=generator.permutation(np.repeat(np.arange(people), per_customer)),
        as_of=NOW - generator.integers(0, 30 * MICROSECONDS_PER_DAY, people * per_customer),
        events=table.sort("customer", "occurred_at") if in_order else table,
    )


def ours(case: Case) -> dict[str, np.ndarray[Any, Any]]:
    """Compute with the product."""
    names = {"customers": "customer", "occurred_at": "occurred_at", "kinds": "kind", "amounts": "amount"}
    history = History(**{name: case.events[column].to_numpy() for name, column in names.items()})
    columns = rfm_columns(case.customers, case.as_of, history, SPEC)
    return {feature.name: column for feature, column in zip(rfm_features(SPEC), columns, strict=True)}


class DuckDb:
    """One join and filtered aggregates; loading the tables is not timed."""

    def __init__(self, case: Case) -> None:
        """Load the tables."""
        self._connection = duckdb.connect(config={"threads": 1})
        frames = {
            "a": pd.DataFrame({"i": np.arange(len(case.as_of)), "customer": case.customers, "as_of": case.as_of}),
            "e": pd.DataFrame({n: case.events[n].to_numpy() for n in ("customer", "occurred_at", "kind", "amount")}),
        }
        for name, frame in frames.items():
            self._connection.register("source", frame)
            self._connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source")  # noqa: S608 - our own names
            self._connection.unregister("source")

    def __call__(self) -> None:
        """Compute all features into a table."""
        columns = ", ".join(f'{sql} AS "{name}"' for group in SPEC.groups for name, sql in _sql(group, SPEC))
        longest = max(days for group in SPEC.groups for days in group.windows_days)
        query = (  # names of our own spec
            f"CREATE OR REPLACE TABLE result AS SELECT a.i, {columns} FROM a LEFT JOIN e ON a.customer = e.customer "  # noqa: S608
            f"AND occurred_at < as_of AND occurred_at >= as_of - {longest * MICROSECONDS_PER_DAY} GROUP BY a.i, as_of"
        )
        self._connection.execute(query)

    def result(self) -> dict[str, np.ndarray[Any, Any]]:
        """Fetch what the last call computed."""
        found = self._connection.execute("SELECT * EXCLUDE i FROM result ORDER BY i").fetchnumpy()
        return {name: np.ma.filled(values.astype(np.float64), np.nan) for name, values in found.items()}


def _sql(group: RfmGroup, spec: Spec) -> list[tuple[str, str]]:
    kinds = ", ".join(str(spec.event_kinds.index(kind)) for kind in group.kinds)

    def where(days: int) -> str:
        return f"FILTER (WHERE kind IN ({kinds}) AND occurred_at >= as_of - {days * MICROSECONDS_PER_DAY})"

    last = group.windows_days[-1]
    day = MICROSECONDS_PER_DAY
    columns = [(f"{group.name}_days_since_last_{last}d", f"(as_of - max(occurred_at) {where(last)}) // {day}")]
    columns += [(f"{group.name}_count_{days}d", f"count(e.kind) {where(days)}") for days in group.windows_days]
    for days in group.windows_days:
        columns.append((f"{group.name}_sum_{days}d", f"coalesce(sum(amount) {where(days)}, 0)::DOUBLE / 100"))
        columns += [(f"{group.name}_{m}_{days}d", f"{m}(amount) {where(days)}::DOUBLE / 100") for m in ("min", "max")]
    return columns


def by_pandas(case: Case) -> dict[str, np.ndarray[Any, Any]]:
    """One merge, then a mask and a group-by per group and window, the shorter windows out of the longer."""
    a = pd.DataFrame({"i": np.arange(len(case.as_of)), "customer": case.customers, "as_of": case.as_of})
    e = pd.DataFrame({n: case.events[n].to_numpy() for n in ("customer", "occurred_at", "kind", "amount")})
    merged = e.merge(a, on="customer", sort=False)
    age = (merged["as_of"] - merged["occurred_at"]).to_numpy()
    longest = max(days for group in SPEC.groups for days in group.windows_days)
    keep = (age > 0) & (age <= longest * MICROSECONDS_PER_DAY)
    merged, age = merged.loc[keep, ["i", "kind", "amount"]].assign(age=age[keep]), age[keep]
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for group in SPEC.groups:
        own = merged[merged["kind"].isin([SPEC.event_kinds.index(kind) for kind in group.kinds])]
        for days in reversed(group.windows_days):
            own = own[own["age"] <= days * MICROSECONDS_PER_DAY]
            found = own.groupby("i").agg(
                count=("amount", "size"), sum=("amount", "sum"), min=("amount", "min"), max=("amount", "max"),
                age=("age", "min"),
            ).reindex(range(len(a)))  # fmt: skip
            columns[f"{group.name}_count_{days}d"] = found["count"].fillna(0).to_numpy()
            columns[f"{group.name}_sum_{days}d"] = found["sum"].fillna(0).to_numpy() / 100
            for measure in ("min", "max"):
                columns[f"{group.name}_{measure}_{days}d"] = found[measure].to_numpy() / 100
            if days == group.windows_days[-1]:
                columns[f"{group.name}_days_since_last_{days}d"] = (found["age"] // MICROSECONDS_PER_DAY).to_numpy()
    return columns


def timed(run: Callable[[], object], repeats: int = 2) -> float:
    """Return the best time in seconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def check_equal(found: dict[str, np.ndarray[Any, Any]], expected: dict[str, np.ndarray[Any, Any]], who: str) -> None:
    """Fail unless all features agree exactly, missing values included."""
    for feature in rfm_features(SPEC):
        if not np.array_equal(found[feature.name], expected[feature.name], equal_nan=True):
            raise SystemExit(f"{who} and the product differ in {feature.name}")


def measure(case: Case, *, pandas: bool) -> dict[str, object]:
    """Time all three on one case and check that they agree."""
    found, duck = ours(case), DuckDb(case)
    repeats = 2 if case.events.height <= 5_000_000 else 1  # the baselines take minutes
    seconds = {"product": timed(lambda: ours(case), 3), "duckdb": timed(duck, repeats)}
    check_equal(duck.result(), found, "DuckDB")
    if pandas:
        seconds["pandas"] = timed(lambda: check_equal(by_pandas(case), found, "pandas"), 1)
    ratios = {f"times_faster_than_{n}": round(s / seconds["product"], 1) for n, s in seconds.items() if n != "product"}
    return {"seconds": {name: round(value, 2) for name, value in seconds.items()}, **ratios}


def alone() -> float:
    """Return the milliseconds that one application with 30 events takes, mean of 500."""
    case = make_case("alone", 30, 1, 1)
    ours(case)
    start = time.perf_counter()
    for _ in range(500):
        ours(case)
    return round((time.perf_counter() - start) / 500 * 1000, 2)


def main(events: int, applications: int) -> dict[str, object]:
    """Measure all cases. pandas needs more memory than there is with eight applications a customer at full size."""
    many = events > 5_000_000
    cases = {"one application per customer": (1, False), "eight": (8, False), "one, events in order": (1, True)}
    result: dict[str, object] = {"events": events, "applications": applications, "alone_ms": alone()}
    for name, (per_customer, in_order) in cases.items():
        case = make_case(name, events, applications, per_customer, in_order=in_order)
        result[name] = measure(case, pandas=not (many and per_customer > 1))
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--applications", type=int, default=500_000)
    options = parser.parse_args()
    print(json.dumps(main(options.events, options.applications), indent=2))  # noqa: T201

"""Two independent ways to compute RFM features: DuckDB SQL, and a plain loop with exact fractions."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import duckdb
import polars as pl

from features.spec.contract import Monetary, RfmGroup, Spec

DAY = 86_400_000_000
Row = dict[str, Any]


def names(group: RfmGroup) -> list[str]:
    result = [f"{group.name}_days_since_last_{group.windows_days[-1]}d"] if group.recency else []
    result += [f"{group.name}_count_{d}d" for d in group.windows_days if group.frequency]
    result += [f"{group.name}_{m}_{d}d" for d in group.windows_days for m in group.monetary]
    return result + ([f"{group.name}_trend_{group.trend_days[0]}d_{group.trend_days[1]}d"] if group.trend_days else [])


def by_loop(applications: list[Row], events: list[Row], spec: Spec) -> list[dict[str, float]]:
    """NaN is null. Instants are microseconds, amounts minor units."""
    return [dict(_features(a, [e for e in events if e["customer_id"] == a["customer_id"]], spec)) for a in applications]


def _features(application: Row, events: list[Row], spec: Spec) -> Iterator[tuple[str, float]]:
    as_of, scale = application["as_of"], 10**spec.currency.minor_digits

    def window(kinds: tuple[str, ...], days: int) -> list[Row]:
        return [
            e
            for e in events
            if e["kind"] in kinds
            and as_of - days * DAY <= e["occurred_at"] < as_of
            and (e["recorded_at"] is None or e["recorded_at"] <= as_of)
        ]

    for group in spec.groups:
        for name in names(group):
            if "_trend_" in name and group.trend_days:
                short, long = ([e["amount"] for e in window(group.kinds, d)] for d in group.trend_days)
                rate = Fraction(sum(long), group.trend_days[1])
                yield name, float(Fraction(sum(short), group.trend_days[0]) / rate) if rate else math.nan
                continue
            measure, days = name.removeprefix(f"{group.name}_").rsplit("_", 1)
            mine = window(group.kinds, int(days[:-1]))
            everything = window(spec.event_kinds, int(days[:-1]))
            yield name, _measure(measure, mine, everything, as_of, scale)


def _measure(measure: str, mine: list[Row], everything: list[Row], as_of: int, scale: int) -> float:
    amounts = [e["amount"] for e in mine]
    if measure in ("count", Monetary.SUM):
        return float(len(mine) if measure == "count" else Fraction(sum(amounts), scale))
    if measure == Monetary.SHARE:
        total = sum(abs(e["amount"]) for e in everything)
        return float(Fraction(sum(map(abs, amounts)), total)) if total else math.nan
    if not mine:
        return math.nan
    if measure == "days_since_last":
        return float((as_of - max(e["occurred_at"] for e in mine)) // DAY)
    if measure == Monetary.STANDARD_DEVIATION:
        mean = Fraction(sum(amounts), len(amounts))
        return math.sqrt(sum((a - mean) ** 2 for a in amounts) / len(amounts)) / scale
    chosen = {Monetary.MIN: min, Monetary.MAX: max}.get(Monetary(measure))
    return chosen(amounts) / scale if chosen else float(Fraction(sum(amounts), len(amounts) * scale))


def by_duckdb(applications: list[Row], events: list[Row], spec: Spec) -> list[dict[str, float]]:
    """One join and filtered aggregates, integers as HUGEINT."""
    a = pl.DataFrame(applications, schema={"customer_id": pl.String, "as_of": pl.Int64}).with_row_index("i")
    schema = {
        "customer_id": pl.String,
        "occurred_at": pl.Int64,
        "kind": pl.String,
        "amount": pl.Int64,
        "recorded_at": pl.Int64,
    }
    e = pl.DataFrame(events, schema=schema)
    columns = ", ".join(f'{_sql(group, name, spec)} AS "{name}"' for group in spec.groups for name in names(group))
    connection = duckdb.connect()
    connection.execute("CREATE TABLE a (i INT, customer_id TEXT, as_of BIGINT)")
    connection.executemany("INSERT INTO a VALUES (?, ?, ?)", a.rows()) if a.height else None
    connection.execute(
        "CREATE TABLE e (customer_id TEXT, occurred_at BIGINT, kind TEXT, amount BIGINT, recorded_at BIGINT)"
    )
    connection.executemany("INSERT INTO e VALUES (?, ?, ?, ?, ?)", e.rows()) if e.height else None
    query = f"""
        SELECT {columns} FROM a LEFT JOIN e ON a.customer_id = e.customer_id AND occurred_at < as_of
            AND coalesce(recorded_at, 0) <= as_of
        GROUP BY a.i, a.as_of ORDER BY a.i
    """  # noqa: S608 - names come from the test's own spec
    found = connection.execute(query)
    header = [d[0] for d in found.description or []]
    return [
        {name: math.nan if value is None else float(value) for name, value in zip(header, row, strict=True)}
        for row in found.fetchall()
    ]


def _sql(group: RfmGroup, name: str, spec: Spec) -> str:
    scale = 10**spec.currency.minor_digits

    def where(days: int, kinds: tuple[str, ...] = group.kinds) -> str:
        listed = ", ".join(f"'{kind}'" for kind in kinds)
        return f"FILTER (WHERE kind IN ({listed}) AND occurred_at >= as_of - {days * DAY})"

    if "_trend_" in name and group.trend_days:
        short, long = (f"(coalesce(sum(amount) {where(d)}, 0)::DOUBLE / {d})" for d in group.trend_days)
        return f"CASE WHEN {long} <> 0 THEN {short} / {long} END"
    measure, text = name.removeprefix(f"{group.name}_").rsplit("_", 1)
    days = int(text[:-1])
    count, total = f"count(e.kind) {where(days)}", f"coalesce(sum(amount::HUGEINT) {where(days)}, 0)"
    squares = f"sum(amount::HUGEINT * amount::HUGEINT) {where(days)}"
    spread = f"({count} * {squares} - {total} * {total})"
    moved = f"coalesce(sum(abs(amount::HUGEINT)) {where(days)}, 0)"
    everything = f"sum(abs(amount::HUGEINT)) {where(days, spec.event_kinds)}"
    return {
        "count": count,
        "days_since_last": f"(as_of - max(occurred_at) {where(days)}) // {DAY}",
        "sum": f"{total}::DOUBLE / {scale}",
        "mean": f"CASE WHEN {count} > 0 THEN {total}::DOUBLE / ({count} * {scale}) END",
        "min": f"min(amount) {where(days)}::DOUBLE / {scale}",
        "max": f"max(amount) {where(days)}::DOUBLE / {scale}",
        "std": f"CASE WHEN {count} > 0 THEN sqrt({spread}::DOUBLE) / {count} / {scale} END",
        "share": f"CASE WHEN {everything} > 0 THEN {moved}::DOUBLE / {everything} END",
    }[measure]

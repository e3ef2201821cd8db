"""What became of applications at one door, as a table of plain columns: those of decisions, then `code`.

Lists of records, such as reasons, are spread: `reasons.count`, `reasons.1.code`, `reasons.1.contribution` ...
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from features.spec.contract import Spec
from scoring.decisions import decision_schema
from scoring.reasons import MOST_REASONS

UNREADABLE = "unreadable_decision"


@dataclass(frozen=True, slots=True)
class DoorAnswer:
    """What one message became: a decision as the bytes that the door wrote, or a code."""

    decision: bytes | None = None
    code: str | None = None


def from_messages(outcomes: Iterable[DoorAnswer], spec: Spec) -> pl.DataFrame:
    """Return one row per outcome. Numbers are read from their digits to the type of the column: float32 keeps its bits.

    `members` names the members of the JSON object, so that none escapes the comparison.
    """
    rows: list[dict[str, Any]] = []
    codes: list[str | None] = []
    for outcome in outcomes:
        row, code = _read(outcome)
        rows.append(row)
        codes.append(code)
    flat = _plain_schema(spec)
    columns = [_typed(name, [row.get(name) for row in rows], dtype) for name, dtype in flat.items()]
    members = [row.get("members") for row in rows]
    return pl.DataFrame([*columns, *_ends(codes, members)])


def from_files(decisions: pl.DataFrame, places: list[int], codes: list[str | None], spec: Spec) -> pl.DataFrame:
    """Return one row per application from a table of decisions; `places[i]` is the row of decision i."""
    spread = [expression for name, dtype in decisions.schema.items() for expression in _spread(name, dtype)]
    own = decisions.select(*spread, pl.lit(_members(decisions.columns)).alias("members"))
    rows = pl.DataFrame({"place": range(len(codes))}, schema={"place": pl.Int64})
    placed = own.with_columns(pl.Series("place", places, dtype=pl.Int64))
    joined = rows.join(placed, on="place", how="left", maintain_order="left", validate="1:1").drop("place")
    known = [name for name in _plain_schema(spec) if name in joined.columns]
    return joined.select(*known, pl.Series("code", codes, dtype=pl.String), "members")


def _read(outcome: DoorAnswer) -> tuple[dict[str, Any], str | None]:
    if outcome.decision is None:
        return {}, outcome.code
    try:
        decision = json.loads(outcome.decision, parse_float=str, parse_int=str)
        flat = {"members": _members(decision)}
        for name, value in decision.items():
            flat |= _spread_value(name, value) if isinstance(value, list) else {name: value}
    except (ValueError, AttributeError):
        return {}, UNREADABLE
    return flat, None


def _spread_value(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    spread: dict[str, Any] = {f"{name}.count": str(len(records))}
    for i, record in enumerate(records, start=1):
        spread |= {f"{name}.{i}.{member}": value for member, value in record.items()}
    return spread


def _plain_schema(spec: Spec) -> dict[str, pl.DataType]:
    plain: dict[str, pl.DataType] = {}
    for name, dtype in decision_schema(spec).items():
        if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
            plain[f"{name}.count"] = pl.UInt32()
            for i in range(1, MOST_REASONS + 1):
                plain |= {f"{name}.{i}.{f.name}": pl.Series(dtype=f.dtype).dtype for f in dtype.inner.fields}
        else:
            plain[name] = dtype
    return plain


def _spread(name: str, dtype: pl.DataType) -> list[pl.Expr]:
    if not (isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct)):
        return [pl.col(name)]
    column = pl.col(name)
    return [
        column.list.len().cast(pl.UInt32).alias(f"{name}.count"),
        *[
            column.list.get(i, null_on_oob=True).struct.field(field.name).alias(f"{name}.{i + 1}.{field.name}")
            for i in range(MOST_REASONS)
            for field in dtype.inner.fields
        ],
    ]


def _typed(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    texts = pl.Series(name, [v if v is None or isinstance(v, str) else json.dumps(v) for v in values], dtype=pl.String)
    if isinstance(dtype, pl.Datetime):
        return texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC", strict=False)
    if isinstance(dtype, pl.Boolean):
        return (texts == "true").alias(name)
    return texts.cast(dtype, strict=False)


def _members(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _ends(codes: list[str | None], members: list[str | None]) -> tuple[pl.Series, pl.Series]:
    return pl.Series("code", codes, dtype=pl.String), pl.Series("members", members, dtype=pl.String)

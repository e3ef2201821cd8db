"""The hash of a row, against a reading of its definition in plain Python, on rows that nobody would think of."""

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.log.row_hash import row_hashes, with_nonce
from scoring.reasons.explainer import REASON

FLOATS = st.floats(width=32)
REASONS = st.lists(
    st.fixed_dictionaries(
        {"code": st.text(max_size=3), "text": st.text(max_size=3), "contribution": FLOATS, "weak": st.booleans()}
    ),
    max_size=4,
)
ROW = st.fixed_dictionaries(
    {
        "id": st.none() | st.text(max_size=5),
        "at": st.none() | st.integers(-(2**40), 2**40),
        "partition": st.none() | st.integers(-(2**31), 2**31 - 1),
        "offset": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": FLOATS,
        "y": FLOATS,
        "name": st.none() | st.text(max_size=5),
        "p": FLOATS,
        "reasons": REASONS,
    }
)
SCHEMA = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "partition": pl.Int32(),
    "offset": pl.Int64(),
    "x": pl.Float32(),
    "y": pl.Float32(),
    "name": pl.String(),
    "p": pl.Float32(),
    "reasons": pl.List(REASON),
}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    instants = [{**r, "at": None if r["at"] is None else epoch + timedelta(microseconds=r["at"])} for r in rows]
    return with_nonce(pl.DataFrame(instants, schema=SCHEMA))


def text(value: str | None) -> bytes:
    return b"-" if value is None else f"{len(value.encode())}:".encode() + value.encode()


def whole(value: int | None) -> bytes:
    return bytes(9) if value is None else b"\1" + struct.pack("<q", value)


def plain_hash(row: dict[str, Any], nonce: bytes) -> bytes:
    fixed = whole(row["at"]) + whole(row["partition"]) + whole(row["offset"])
    fixed += struct.pack("<fff", row["x"], row["y"], row["p"])
    reasons = bytes([len(row["reasons"])])
    for reason in row["reasons"]:
        words = hashlib.sha256(text(reason["code"]) + text(reason["text"])).digest()
        reasons += words + struct.pack("<f?", reason["contribution"], reason["weak"])
    reasons += bytes(37 * (4 - len(row["reasons"])))
    return hashlib.sha256(nonce + fixed + reasons + text(row["id"]) + text(row["name"])).digest()


@given(rows=st.lists(ROW, min_size=1, max_size=5))
def test_the_hash_is_what_the_documentation_says(rows: list[dict[str, Any]]) -> None:
    made = frame(rows)
    finite = [{**row, **{n: float(np.float32(row[n])) for n in ("x", "y", "p")}} for row in rows]
    nonces = made["nonce"].to_list()
    assert row_hashes(made) == b"".join(map(plain_hash, finite, nonces))


@given(rows=st.lists(ROW, min_size=2, max_size=6))
def test_a_row_has_the_same_hash_alone_and_among_others(rows: list[dict[str, Any]]) -> None:
    made = frame(rows)
    assert row_hashes(made) == b"".join(row_hashes(made[i]) for i in range(made.height))


@given(one=ROW, other=ROW)
def test_different_rows_have_different_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    made = frame([one, other])
    same_nonce = made.with_columns(nonce=pl.lit(bytes(16)))
    first, second = row_hashes(same_nonce[0]), row_hashes(same_nonce[1])
    bits = [repr(row) for row in same_nonce.drop("reasons").rows()]
    if bits[0] != bits[1] or [r["code"] for r in one["reasons"]] != [r["code"] for r in other["reasons"]]:
        assert first != second


@pytest.mark.slow
def test_no_two_nonces_are_equal() -> None:
    row = {"id": "a", "at": 0, "partition": 0, "offset": 0, "x": 0.0, "y": 0.0, "name": "", "p": 0.0, "reasons": []}
    made = frame([row] * 1000)
    assert made["nonce"].n_unique() == 1000
    assert len({row_hashes(made)[i : i + 32] for i in range(0, 32000, 32)}) == 1000

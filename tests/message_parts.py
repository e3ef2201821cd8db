"""Messages changed, encoded and compared with the batch door, for the tests of messages."""

import json
from typing import Any

import numpy as np
import polars as pl

from scoring.messages import Answer, feature_rows
from scoring.scorer import Scored


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def compare(answers: list[Answer], scored: Scored, applications: pl.DataFrame) -> None:
    """Every row has the decision of the batch door, to the bit, or is refused with the same code."""
    decisions = [json.loads(a.decision) for a in answers if a.decision]
    assert len(decisions) == scored.decisions.height > 0
    for name in scored.decisions.columns:
        ours, theirs = [d[name] for d in decisions], scored.decisions[name]
        if theirs.dtype == pl.Float32:
            assert np.array(ours, dtype=np.float32).tobytes() == theirs.to_numpy().tobytes()
        elif theirs.dtype == pl.Datetime("us", "UTC"):
            assert ours == theirs.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_list()
        elif name == "reasons":
            assert theirs.equals(pl.Series(name, ours, dtype=theirs.dtype))
        else:
            assert ours == theirs.to_list()
    assert [a.features for a in answers if a.decision] == feature_rows(scored.features)
    refused = [(i + 1, a.refusal.code) for i, a in enumerate(answers) if a.refusal]
    assert refused == scored.rejects.filter(table="applications").select("row", "code").rows()
    assert len(answers) == applications.height


def changed(example: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**example, **fields}


def event(**fields: Any) -> list[dict[str, Any]]:
    good = {"occurred_at": "2026-08-01T09:30:00Z", "kind": "purchase", "amount": "-34.50"}
    return [good, {**good, **fields}]

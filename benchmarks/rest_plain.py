"""The baseline of `rest_speed`: a plain FastAPI handler, features with pandas, XGBoost; what a team writes in a day.

    MODEL=FOLDER uvicorn benchmarks.rest_plain:app

The features are those of `score_pandas`, so the decision is the product's. It checks nothing.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastapi import FastAPI

from benchmarks.score_pandas import KINDS, attributes, boosters, history, predict

_MODEL = Path(os.environ.get("MODEL", ""))
_POLICY = json.loads((_MODEL / "policy.json").read_text()) if _MODEL.name else {}
_BOOSTERS = boosters(_MODEL) if _MODEL.name else []
app = FastAPI()


@app.post("/score")
def score(application: dict[str, Any]) -> dict[str, Any]:
    """Score one application with its events."""
    a = pd.DataFrame([{**application["attributes"], "customer": 0, "instant": _microseconds(application["as_of"])}])
    events = [event for event in application["events"] if event["kind"] in KINDS]
    e = pd.DataFrame(
        {
            "customer": np.zeros(len(events), dtype=np.int32),
            "occurred_at": np.array([_microseconds(event["occurred_at"]) for event in events], dtype=np.int64),
            "recorded_at": np.zeros(len(events), dtype=np.int64),
            "kind": [KINDS.index(event["kind"]) for event in events],
            "amount": [round(float(event["amount"]) * 100) for event in events],
        }
    )
    matrix = np.column_stack([*attributes(a), *history(a, e)]).astype(np.float32)
    probabilities = predict(_BOOSTERS, matrix, _POLICY)
    assigned = int((probabilities @ np.array(_POLICY["costs"])).argmin(axis=1)[0])
    named = zip(_POLICY["classes"], probabilities[0].tolist(), strict=True)
    return {"credit_class": _POLICY["classes"][assigned], **{f"p_{name.lower()}": p for name, p in named}}


def _microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)

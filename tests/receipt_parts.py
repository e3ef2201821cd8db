"""Receipts and logs for tests, made by the product's own parts."""

import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from receipts.frame import receipts_of
from receipts.lines import line_head, receipt_line
from receipts.log.chain import Chain
from receipts.log.read import frames
from recipes.dataset import Dataset
from scoring.decisions import decision_ids
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import MessageScorer
from scoring.scorer import Scorer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def some_receipts(
    scorer: Scorer, dataset: Dataset, rows: int = 40, at: datetime = NOON, *, full: bool = False
) -> pl.DataFrame:
    """Batch receipts of the first applications, a second apart; full ones hold the application's JSON."""
    applications = dataset.applications.head(rows)
    scored = scorer.score(applications, dataset.events)
    times = [at + timedelta(seconds=i) for i in range(scored.decisions.height)]
    origin = pl.DataFrame({"decided_at": times, "row": range(1, len(times) + 1)}).with_columns(
        door=pl.lit("batch"), input_sha256=pl.lit("ab" * 32)
    )
    if full:
        bodies = {
            m.application_id: m.body.decode() for m in to_messages(applications, dataset.events, scorer.bundle.spec)
        }
        texts = [bodies[name] for name in scored.decisions["application_id"]]
        origin = origin.with_columns(pl.Series("application", texts))
    return receipts_of(scored.decisions, scored.features, origin, scorer.bundle.spec)


def write_log(log: Path, frames: Sequence[pl.DataFrame], writer: str = "batch-1") -> list[str]:
    """Seal frames as segments of one writer; return the heads."""
    with Chain.open(log, writer) as chain:
        return [chain.seal(frame).hash for frame in frames]


def encoded(example: dict[str, Any], **changes: object) -> bytes:
    return json.dumps(example | changes).encode()


def some_lines(scorer: Scorer, example: dict[str, Any], count: int) -> list[bytes]:
    """Receipts as the REST door writes them, of applications A0, A1, ... in requests r0, r1, ..."""
    messages = [encoded(example, application_id=f"A{i}") for i in range(count)]
    head = line_head("rest", 1.8e9)
    answers = MessageScorer(scorer).answer(messages)
    sources = [f'{{"request_id":"r{i}","row":1}}'.encode() for i in range(count)]
    return [receipt_line(head, s, m, a) for s, m, a in zip(sources, messages, answers, strict=True)]


def rest_receipts(log: Path) -> pl.DataFrame:
    columns = ["request_id", "row", "door", "decision_id", "application_id", "decided_at", "credit_class"]
    return pl.concat(frames(log, columns=columns))


def of_bundle(line: bytes, bundle_id: str) -> bytes:
    """The receipt as another bundle would have written it, which decides the same."""
    receipt = json.loads(line)
    decision, features = receipt["decision"], np.frombuffer(b64decode(receipt["features"]), "<f4").reshape(1, -1)
    as_of = datetime.fromisoformat(decision["as_of"]).timestamp() * 1e6
    ids = {name: [decision[name]] for name in ("application_id", "customer_id")}
    (made,) = decision_ids(pl.DataFrame({**ids, "as_of": [round(as_of)]}), features, bundle_id)
    return line.replace(decision["bundle_id"].encode(), bundle_id.encode()).replace(
        decision["decision_id"].encode(), made.encode()
    )

"""Receipts for tests, made by the product's own parts."""

from datetime import UTC, datetime, timedelta

import polars as pl

from receipts.frame import receipts_of
from recipes.dataset import Dataset
from scoring.scorer import Scorer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def some_receipts(scorer: Scorer, dataset: Dataset, rows: int = 40, at: datetime = NOON) -> pl.DataFrame:
    """Batch receipts of the first applications, a second apart."""
    scored = scorer.score(dataset.applications.head(rows), dataset.events)
    times = [at + timedelta(seconds=i) for i in range(scored.decisions.height)]
    origin = pl.DataFrame({"decided_at": times, "row": range(1, len(times) + 1)}).with_columns(
        door=pl.lit("batch"), input_sha256=pl.lit("ab" * 32)
    )
    return receipts_of(scored.decisions, scored.features, origin, scorer.bundle.spec)

"""Where the time of scoring goes: one partition of a lender, one thread, microseconds an application by stage.

POLARS_MAX_THREADS=1 python -m benchmarks.stages LENDER BUNDLE
"""

import cProfile
import json
import pstats
import sys
from pathlib import Path

import polars as pl

from scoring.scorer import Scorer

STAGES = {
    "read_applications": "applications: clean and check",
    "read_events": "events: match customers, clean and check",
    "_rfm": "RFM features",
    "_attribute_columns": "attribute features",
    "probabilities": "ONNX model",
    "make_decisions": "decisions: policy, points, ids",
    "score": "in all",
}


def main(lender: Path, bundle: Path) -> dict[str, float]:
    """Score a part of about 20,000 applications under the profiler, the second time."""
    scorer = Scorer.open(bundle)
    tables = [pl.read_parquet(lender / f"{name}.parquet") for name in ("applications", "events")]
    parts = max(1, tables[0].height // 20_000)
    applications, events = (table.filter(pl.col("customer_id").hash(0) % parts == 0) for table in tables)
    del tables
    scorer.score(applications, events)
    profile = cProfile.Profile()
    profile.runcall(scorer.score, applications, events)
    taken = {name: entry[3] for (_, _, name), entry in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    figures: dict[str, float] = {"applications": applications.height, "events": events.height}
    return figures | {text: round(taken[name] / applications.height * 1e6, 1) for name, text in STAGES.items()}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2])), indent=2))  # noqa: T201

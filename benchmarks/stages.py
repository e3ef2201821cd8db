"""Where the time of scoring goes: one partition of a lender, one thread, microseconds an application by stage.

POLARS_MAX_THREADS=1 python -m benchmarks.stages LENDER BUNDLE
"""

import cProfile
import json
import pstats
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import cast

import polars as pl

from features.applications import read_applications
from features.attribute_columns import attribute_columns
from features.rfm.events import read_events
from features.rfm.quantities import rfm_columns
from scoring.decisions import decide
from scoring.model import Model
from scoring.scorer import Scorer

STAGES: dict[
    str, Callable[..., object]
] = {  # the functions themselves, so that a new name is an error of types, not of a run
    "applications: clean and check": read_applications,
    "events: match customers, clean and check": read_events,
    "RFM features": rfm_columns,
    "attribute features": attribute_columns,
    "ONNX model": Model.probabilities,
    "decisions: policy, points, ids": decide,
    "in all": Scorer.score,
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
    taken = {place: entry[3] for place, entry in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    figures: dict[str, float] = {"applications": applications.height, "events": events.height}
    return figures | {
        text: round(taken[_place(stage)] / applications.height * 1e6, 1) for text, stage in STAGES.items()
    }


def _place(stage: Callable[..., object]) -> tuple[str, int, str]:
    """Return how the profiler names a function."""
    code = cast("FunctionType", stage).__code__
    return code.co_filename, code.co_firstlineno, code.co_name


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2])), indent=2))  # noqa: T201

"""`credit monitor` on millions of decisions, and Evidently on what fits it: `python -m benchmarks.monitor_log`.

Makes FOLDER/log once: scored synthetic applications, drawn again and again under new ids, with drift planted in three
features so that there is a ranking to compare.
"""

import argparse
import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.monitor_evidently import compare
from features.matrix import build_features, list_features
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from receipts.frame import receipts_of
from receipts.log.chain import Chain
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.bundle.folder import read_bundle
from scoring.scorer import Scorer
from training.data import TrainingData
from training.run import train

PLANTED = {"income_mean_365d": 1.15, "credit_utilisation": 1.25, "outstanding_debt": 1.6}
_SEGMENT_ROWS = 65_536


def prepare(folder: Path, decisions: int) -> tuple[Path, Path]:
    """Make bundle and log, unless they are there; return both."""
    bundles, log = folder / "bundles", folder / f"log-{decisions}"
    if not bundles.exists():
        made = synthetic(6000, seed=1)
        trained = train(TrainingData(made.applications, made.events, made.labels), parse_spec(made.spec_text))
        export(trained, bundles)
        _write_reference(made, parse_spec(made.spec_text), folder)
    bundle = next(path for path in bundles.iterdir() if len(path.name) == 64)
    if not log.exists():
        _write(log, Scorer.open(bundle), decisions)
    return bundle, log


def _write_reference(made: Dataset, spec: Spec, folder: Path) -> None:
    table = build_features(made.applications, made.events, spec)
    names = [feature.name for feature in list_features(spec)]
    pl.DataFrame({n: table.matrix[:, i] for i, n in enumerate(names)}).write_parquet(folder / "reference.parquet")


def _write(log: Path, scorer: Scorer, decisions: int) -> None:
    dataset = synthetic(30_000, seed=2)
    scored, generator = scorer.score(dataset.applications, dataset.events), np.random.default_rng(0)
    names = [feature.name for feature in list_features(scorer.bundle.spec)]
    first = datetime(2026, 1, 1, tzinfo=UTC)
    with Chain.open(log, "batch-benchmark") as chain:
        for start in range(0, decisions, _SEGMENT_ROWS):
            rows = min(_SEGMENT_ROWS, decisions - start)
            drawn = generator.integers(0, scored.decisions.height, rows)
            matrix = scored.features[drawn].copy()
            for name, factor in PLANTED.items():
                matrix[:, names.index(name)] *= np.float32(factor)
            as_of = first + timedelta(days=360 * start / decisions)
            renamed = _renamed(scored.decisions[drawn], start, as_of)
            chain.seal(receipts_of(renamed, matrix, _origin(rows, as_of), scorer.bundle.spec))
            sys.stderr.write(f"\r{start + rows:,} decisions")
    sys.stderr.write("\n")


def _renamed(decisions: pl.DataFrame, start: int, as_of: datetime) -> pl.DataFrame:
    number = pl.int_range(start, start + pl.len()).cast(pl.String)
    ids = [secrets.token_hex(32) for _ in range(decisions.height)]
    return decisions.with_columns(
        pl.Series("decision_id", ids),
        ("B" + number).alias("application_id"),
        ("C" + number).alias("customer_id"),
        pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("as_of"),
    )


def _origin(rows: int, as_of: datetime) -> pl.DataFrame:
    decided_at = pl.repeat(as_of + timedelta(hours=2), rows, eager=True).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"door": pl.repeat("batch", rows, eager=True), "decided_at": decided_at})


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--decisions", type=int, default=5_000_000)
    parser.add_argument("--evidently", type=int, default=0, help="rows of the comparison with Evidently; 0: none")
    parser.add_argument("--prepare", action="store_true", help="only make the log")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bundle, log = prepare(arguments.folder, arguments.decisions)
    if arguments.evidently:
        prepare(arguments.folder, arguments.evidently)
    if not arguments.prepare:
        found = compare(read_bundle(bundle), log, arguments.folder, arguments.evidently)
        sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

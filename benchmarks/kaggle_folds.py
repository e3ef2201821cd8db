"""Quality on the Kaggle panel: folds by customer, seeds 0 and 1, argmax of the calibrated probabilities.

    python -m benchmarks.kaggle_folds credit_score_panel.parquet

Each fold is judged by models and calibrations that the others made, as `credit train` does. Row features are the
application's own attributes; history features are added by the RFM groups of the spec. The gain is paired by
customer; its interval is a bootstrap over customers. A random split of rows would leak: each customer has eight.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.cross_fitted import run_folds
from features.matrix import list_features
from features.spec.file import parse_spec
from metrics import Outcome, evaluate
from recipes.kaggle import kaggle
from training.data import Examples, TrainingData, label_examples

SEEDS = (0, 1)


def narrowed(examples: Examples, columns: NDArray[np.bool_]) -> Examples:
    """Keep some feature columns."""
    return Examples(
        matrix=np.ascontiguousarray(examples.matrix[:, columns]),
        actual=examples.actual,
        customers=examples.customers,
        as_of=examples.as_of,
    )


def main(panel: Path) -> None:
    """Print one row per seed and set of features, and the paired gain."""
    dataset = kaggle(pl.read_parquet(panel))
    spec = parse_spec(dataset.spec_text)
    examples, _ = label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    attributes = {attribute.name for attribute in spec.attributes}
    row_columns = np.array([feature.source in attributes for feature in list_features(spec)])
    for seed in SEEDS:
        right = {}
        for name, columns in (("row", row_columns), ("row + history", np.ones_like(row_columns))):
            some = narrowed(examples, columns)
            probabilities = run_folds(spec, some, seed=seed).crossed.judged.probabilities
            assigned = probabilities.argmax(axis=1)
            right[name] = (assigned == some.actual).astype(float)
            result = evaluate(
                Outcome(
                    classes=spec.classes,
                    actual=some.actual,
                    assigned=assigned,
                    probabilities=probabilities.astype(np.float64),
                    customers=some.customers,
                )
            )
            shown = ("accuracy", "macro_f1", "log_loss", "calibration_error")
            text = ", ".join(f"{m} {result['metrics'][m]['value']:.4f}" for m in shown)
            print(f"seed {seed}  {name:14} {columns.sum():3} features: {text}", flush=True)  # noqa: T201
        gain = right["row + history"] - right["row"]
        low, high = interval_by_customer(gain, examples.customers)
        print(f"seed {seed}  gain in accuracy {gain.mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")  # noqa: T201


def interval_by_customer(values: NDArray[np.float64], customers: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean, drawing customers."""
    _, index = np.unique(customers, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    generator = np.random.default_rng(0)
    draws = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), 1000)
    low, high = np.percentile((draws @ sums) / (draws @ counts), (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

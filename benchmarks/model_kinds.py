"""Decision tree, random forest and XGBoost on the same folds of the Kaggle panel: quality, size, speed, calibration.

    python -m benchmarks.model_kinds credit_score_panel.parquet

Folds as in `kaggle_folds`, seed 0. Speed: microseconds a row of the exported graph, one thread, 50,000 rows, best of 5.
"""

import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.cross_fitted import run_folds
from features.spec.file import parse_spec
from metrics import Outcome, evaluate
from model_export.trees.graph import to_onnx
from model_export.trees.trees import from_model
from recipes.kaggle import kaggle
from scoring.model import Model
from training.data import TrainingData, label_examples
from training.fit.fit import ModelKind
from training.fit.grow import fit_plan, with_exact_sums

ROWS = 50_000


def main(panel: Path) -> None:
    """Print one row per kind of model."""
    dataset = kaggle(pl.read_parquet(panel))
    spec = parse_spec(dataset.spec_text)
    examples, _ = label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)
    print("| kind | trees | accuracy | macro-F1 | log loss | calibration error | model.onnx | us a row |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for kind in ModelKind:
        run = run_folds(spec, examples, kind)
        probabilities = run.crossed.judged.probabilities.astype(np.float64)
        assigned = probabilities.argmax(axis=1)
        outcome = Outcome(
            classes=spec.classes,
            actual=examples.actual,
            assigned=assigned,
            probabilities=probabilities,
            customers=examples.customers,
        )
        metrics = {name: m["value"] for name, m in evaluate(outcome)["metrics"].items()}
        calibration = run.crossed.calibration
        ensemble = from_model(with_exact_sums(fit_plan(examples, run.plan)))
        content = to_onnx(ensemble, calibration.scale, calibration.offset)
        model = Model(content, ensemble.features, len(spec.classes))
        seconds = min(_seconds(model, examples.matrix[:ROWS]) for _ in range(5))
        figures = [f"{metrics[n]:.4f}" for n in ("accuracy", "macro_f1", "log_loss", "calibration_error")]
        size = f"{len(content) / 1000:.0f} kB"
        row = [kind, len(ensemble.trees), *figures, size, f"{seconds / ROWS * 1e6:.1f}"]
        print(f"| {' | '.join(map(str, row))} |", flush=True)  # noqa: T201


def _seconds(model: Model, rows: NDArray[np.float32]) -> float:
    start = time.perf_counter()
    model.probabilities(rows)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What reasons cost: against XGBoost's own contributions in bulk, alone, and as a share of a run of `credit score`.

    python -m benchmarks.reasons credit_score_panel.parquet

The default model (3 classes) on the Kaggle panel, one thread, all that `reasons` are made of: contributions, sums by
code, ranking, words. Against `pred_contribs` of the same booster on the same refused rows, whose values (mapped by the
calibration) must agree within 1e-5; both leave out making their input. The share is what the stages `score` and `write`
of a run over all applications, CSV to CSV, take longer with reasons than without, of the whole run.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import xgboost
from numpy.typing import NDArray

from batch.job import BatchJob, run_batch
from features.matrix import build_features
from features.spec.file import parse_spec
from model_export.export import export
from recipes.kaggle import kaggle
from scoring.bundle.folder import Bundle
from scoring.reasons.explainer import Explainer, Ranked
from scoring.scorer import Scorer
from training.data import TrainingData
from training.run import Trained, train

NATIVE_ROWS = 2000
REPEATS = 5


class Silent(Explainer):
    """An explainer that gives no reasons, to measure a run without them."""

    def rank(self, matrix: NDArray[np.float32], assigned: NDArray[np.int64]) -> Ranked:
        """Give each row none."""
        return super().rank(matrix, np.full(len(assigned), self.tables.classes - 1))


def main(panel: Path) -> None:
    """Print the figures."""
    dataset = kaggle(pl.read_parquet(panel))
    trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), parse_spec(dataset.spec_text))
    matrix = build_features(dataset.applications, dataset.events, trained.spec).matrix
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer.open(export(trained, Path(folder) / "bundles"))
        probabilities = trained.calibration.probabilities(trained.model.margins(matrix)).astype(np.float32)
        assigned = scorer.bundle.policy.assign(probabilities)
        adverse = assigned < len(trained.spec.classes) - 1
        bulk(scorer.bundle, trained, matrix[adverse], assigned[adverse])
        alone(scorer.bundle, matrix[adverse], assigned[adverse])
        dataset.applications.write_csv(Path(folder) / "applications.csv")
        dataset.events.write_csv(Path(folder) / "events.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
        share(scorer, Path(folder), len(matrix), int(adverse.sum()))


def bulk(bundle: Bundle, trained: Trained, matrix: NDArray[np.float32], assigned: NDArray[np.int64]) -> None:
    """Compare with XGBoost, and print both times a row."""
    boosters = trained.model.boosters  # type: ignore[attr-defined]
    some = np.random.default_rng(0).permutation(len(matrix))[:NATIVE_ROWS]
    data = xgboost.DMatrix(matrix[some], nthread=1)
    scale = trained.calibration.scale.astype(np.float64)

    def natively() -> list[NDArray[np.float32]]:
        return [booster.predict(data, pred_contribs=True) for booster in boosters]

    native = natively()
    for worse in np.unique(assigned):
        rows = assigned[some] == worse
        expected = -scale[worse] * native[worse][rows, :-1]
        difference = np.abs(bundle.explainer.tables.against(matrix[some][rows], int(worse)).T - expected).max()
        assert difference <= 1e-5, difference  # noqa: S101 - equal work, or the times mean nothing
    ours = best(lambda: bundle.explainer.reasons(matrix, assigned)) / len(matrix)
    tables = best(lambda: bundle.explainer.tables.against(matrix, 0)) / len(matrix)
    theirs = best(natively, repeats=2) / len(some)
    print(f"bulk, {len(matrix):,} refused rows: {ours * 1e6:.1f} us a row, of which contributions {tables * 1e6:.1f}")  # noqa: T201
    print(f"pred_contribs, {len(some):,} of them: {theirs * 1e6:.0f} us a row, {theirs / ours:.0f} times as long")  # noqa: T201


def alone(bundle: Bundle, matrix: NDArray[np.float32], assigned: NDArray[np.int64]) -> None:
    """Print the median time of one refused row, over 2,000 different ones."""
    seconds = []
    for i in range(2000):
        start = time.perf_counter()
        bundle.explainer.reasons(matrix[i : i + 1], assigned[i : i + 1])
        seconds.append(time.perf_counter() - start)
    print(f"alone: median {statistics.median(seconds) * 1e6:.0f} us")  # noqa: T201


def share(scorer: Scorer, folder: Path, rows: int, adverse: int) -> None:
    """Print what reasons add to a run from CSV to CSV."""
    job = BatchJob(applications=folder / "applications.csv", events=folder / "events.csv", out=folder / "decisions.csv")
    explainer = scorer.bundle.explainer
    stages: dict[str, list[float]] = {"with": [], "without": []}
    runs = []
    for _ in range(REPEATS):
        for name, kind in (("without", Silent), ("with", Explainer)):
            object.__setattr__(scorer._rules, "explainer", kind(explainer.tables, explainer.book))  # noqa: SLF001
            seconds = run_batch(job, scorer)["seconds"]
            stages[name].append(seconds["score"] + seconds["write"])
            runs += [sum(seconds.values())] if name == "with" else []
    more = min(stages["with"]) - min(stages["without"])
    print(  # noqa: T201
        f"credit score, {rows:,} applications, {adverse:,} refused: {min(runs):.2f} s, of which reasons {more:.2f} s, "
        f"{more / min(runs):.0%}"
    )


def best(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the seconds of the fastest of some calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

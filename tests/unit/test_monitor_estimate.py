"""Performance before outcomes, held to what comes true: fresh windows of a lender whose outcomes are known."""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from features.spec.file import parse_spec
from model_export.export import export
from monitoring.nightly.estimate import Estimate
from monitoring.nightly.finding import WHOLE
from monitoring.nightly.statement import State
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from tests.monitored import Scored, score
from tests.sizes import size
from training.data import TrainingData
from training.run import train

pytestmark = pytest.mark.slow

WINDOWS, ROWS = size(gate=14, whole=28), 500
SHARES = ("precision", "recall", "false_negative_rate", "accuracy")


@pytest.fixture(scope="module")
def lender() -> Dataset:
    return synthetic(400 * WINDOWS, seed=51)


@pytest.fixture(scope="module")
def fresh(lender: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """Applications scored by a model of 3,000 other customers of the same lender."""
    made = synthetic(3000, seed=54)
    trained = train(TrainingData(made.applications, made.events, made.labels), parse_spec(made.spec_text))
    return score(Scorer.open(export(trained, tmp_path_factory.mktemp("bundles"))), lender)


def windows(rows: pl.DataFrame, seed: int) -> Iterator[pl.DataFrame]:
    """Cut windows that share no customer."""
    names = rows["customer_id"].unique().sort().shuffle(seed=seed)
    order = pl.DataFrame({"customer_id": names, "place": range(len(names))})
    ordered = rows.join(order, on="customer_id").sort("place", maintain_order=True).drop("place")
    yield from list(ordered.iter_slices(ROWS))[:WINDOWS]


def confusion(rows: pl.DataFrame, labels: pl.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """Count what came true (rows) by what was assigned (columns)."""
    truth = labels.select("application_id", pl.col("credit_class").alias("truth"))
    pairs = rows.join(truth, on="application_id").select("truth", "credit_class").cast(pl.String).rows()
    return np.array([[pairs.count((actual, given)) for given in classes] for actual in classes], dtype=np.float64)


def came_true(found: NDArray[np.float64], costs: NDArray[np.float64]) -> dict[str, float]:
    good = found[-1].sum()
    return {
        "precision": found[-1, -1] / found[:, -1].sum(),
        "recall": found[-1, -1] / good,
        "false_negative_rate": found[-1, 0] / good,
        "accuracy": found.trace() / found.sum(),
        "expected_cost": (found * costs).sum() / found.sum(),
    }


Judge = Callable[[pl.DataFrame, pl.DataFrame], dict[str, tuple[Estimate, float]]]


@pytest.fixture(scope="module")
def judge(fresh: Scored) -> Judge:
    """What was estimated of a window, beside what came true."""
    bundle = fresh.scorer.bundle

    def run(rows: pl.DataFrame, labels: pl.DataFrame) -> dict[str, tuple[Estimate, float]]:
        estimates = {e.metric: e for e in fresh.figures(rows).estimates if e.where == WHOLE}
        truth = came_true(confusion(rows, labels, bundle.spec.classes), np.array(bundle.policy.costs))
        return {name: (estimates[name], value) for name, value in truth.items()}

    return run


def others(frame: pl.DataFrame) -> pl.DataFrame:
    """Other applicants, the same lender: those who use much of their credit come more often."""
    rank = frame["feature:credit_utilisation"].fill_nan(0).rank() / frame.height
    kept = np.random.default_rng(6).random(frame.height) < 0.3 + 0.7 * rank.to_numpy()
    return frame.filter(pl.Series(kept))


@pytest.mark.parametrize("applicants", ["as at training", "others"])
def test_what_comes_true_lies_in_the_interval_as_often_as_it_says(
    fresh: Scored, lender: Dataset, judge: Judge, applicants: str
) -> None:
    rows = fresh.frame if applicants == "as at training" else others(fresh.frame)
    found = [judge(window, lender.labels) for window in windows(rows, seed=1)]
    assert len(found) == WINDOWS
    for name in found[0]:
        pairs = [one[name] for one in found]
        inside = sum((e.low or 0.0) <= value <= (e.high or 0.0) for e, value in pairs)
        assert inside >= binom.ppf(0.001, WINDOWS, 0.95), name
        unit = 1.0 if name in SHARES else float(np.mean([value for _, value in pairs]))
        off = np.mean([(e.value or 0.0) - value for e, value in pairs])
        wide = np.mean([(e.high or 0.0) - (e.low or 0.0) for e, _ in pairs])
        assert abs(off) < (0.05 if name in SHARES else 0.1) * unit, name
        assert wide < (0.3 if name in SHARES else 0.5) * unit, "an interval that says something"


def test_another_label_mapping_misleads_the_estimate_and_the_page_says_when_it_holds(
    fresh: Scored, lender: Dataset, judge: Judge
) -> None:
    turned = pl.when(pl.col("occupation").is_in(["nurse", "teacher", "clerk"])).then(
        pl.col("credit_class").replace({"Good": "Poor", "Poor": "Good"})
    )
    labels = lender.labels.join(lender.applications.select("application_id", "occupation"), on="application_id")
    labels = labels.with_columns(turned.otherwise("credit_class").alias("credit_class")).drop("occupation")
    rows = list(windows(fresh.frame, seed=2))
    found = [judge(window, labels) for window in rows[:5]]
    for name in ("precision", "recall", "accuracy", "expected_cost"):
        pairs = [one[name] for one in found]
        assert not any((e.low or 0.0) <= value <= (e.high or 0.0) for e, value in pairs), name
    before, after = fresh.figures(rows[0]).statement, fresh.figures(rows[0], labels=labels).statement
    assert (before.state, after.state) == (State.UNCHECKED, State.CONTRADICTED)
    assert "They hold while the same inputs lead to the same outcomes" in before.sentences[0]
    assert "no statistic of inputs and probabilities alone can show concept drift" in before.sentences[1]
    assert "They do not hold here" in after.sentences[1]

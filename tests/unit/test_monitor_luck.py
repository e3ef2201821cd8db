"""A bundle's yardstick is a draw of customers, some of them unlucky: what is said, and kept silent, holds for each.

Customers are drawn from one population again and again: some as those of training, others as windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from features.applications import CUSTOMER
from features.matrix import FeatureTable
from metrics import monitored
from model_export.freeze_reference import make_reference
from monitoring.nightly.finding import WHOLE
from monitoring.nightly.watch import watch
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.bundle.folder import Bundle
from scoring.scorer import Scorer
from tests.monitored import Scored, score, with_reference
from tests.sizes import size
from training.data import Examples
from training.evaluate.judged import Judged
from training.run import Trained

pytestmark = pytest.mark.slow

REFERENCES, WINDOWS, ROWS = size(gate=3, whole=8), 20, 500
TRAINED_ON, HELD_OUT = 500, 150  # customers, of two applications each
METRICS = ("precision", "recall", "false_negative_rate", "accuracy", "expected_cost")

Rows = NDArray[np.bool_]
Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """Everybody who may apply: decisions with features, true classes and customers (codes), row by row."""

    scored: Scored
    trained: Trained
    actual: Classes
    customers: Classes

    @property
    def probabilities(self) -> NDArray[np.float32]:
        return self.scored.frame.select(pl.col("^p_.*$")).to_numpy()

    def draw(self, generator: np.random.Generator, *sizes: int) -> list[Rows]:
        """Draw so many customers, so many others, and so on, with all of their rows; the rest comes last."""
        order = generator.permutation(self.customers.max() + 1)
        return [np.isin(self.customers, group) for group in np.split(order, np.cumsum(sizes))]

    def windows(self, generator: np.random.Generator, among: Rows) -> Iterator[pl.DataFrame]:
        """Cut windows that share no customer with training, and hardly one with each other."""
        place = generator.permutation(self.customers.max() + 1)[self.customers[among]]
        rows = self.scored.frame.filter(pl.Series(among))[np.argsort(place, kind="stable")]
        yield from list(rows.iter_slices(ROWS))[:WINDOWS]

    def bundle(self, training: Rows, held_out: Rows, actual: Classes, folder: Path) -> Bundle:
        """Freeze the yardstick as an export does, had these been the customers of training."""
        bundle, frame = self.scored.scorer.bundle, self.scored.frame
        ids = frame.select("application_id", "customer_id", pl.col("as_of").dt.timestamp("us"))
        matrix = frame.select(pl.col("^feature:.*$")).to_numpy()
        examples = Examples(matrix=matrix, actual=actual, customers=self.customers, as_of=ids["as_of"].to_numpy())
        judged = Judged(
            spec=bundle.spec,
            policy=bundle.policy,
            examples=examples.only(held_out),
            probabilities=self.probabilities[held_out],
            prior=self.trained.judged.prior,
        )
        own = ids.with_columns(pl.Series(CUSTOMER, self.customers)).filter(pl.Series(training))
        table = FeatureTable(own, matrix[training], self.trained.features.rejects.clear(), [])
        return with_reference(bundle, make_reference(table, judged, bundle.explainer.tables), folder)


@pytest.fixture(scope="module")
def lender() -> Dataset:
    """Applications of two days, so that windows have parts that are looked at by themselves."""
    made = synthetic(9000, seed=71)
    days = np.random.default_rng(1).choice(["2026-03-02", "2026-03-04"], made.applications.height)
    return replace(made, applications=made.applications.with_columns(as_of=pl.Series(days)))


@pytest.fixture(scope="module")
def population(trained: Trained, scorer: Scorer, lender: Dataset) -> Population:
    scored = score(scorer, lender)
    numbers = {name: i for i, name in enumerate(scorer.bundle.spec.classes)}
    rows = scored.frame.select("application_id", "customer_id")
    labels = rows.join(lender.labels, on="application_id", how="left", maintain_order="left")["credit_class"]
    customers = rows["customer_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    return Population(scored, trained, labels.replace_strict(numbers, return_dtype=pl.Int64).to_numpy(), customers)


def test_no_reference_is_so_unlucky_that_more_than_five_of_a_hundred_reports_cry_wolf(
    population: Population, lender: Dataset, tmp_path: Path
) -> None:
    """With outcomes, so that drift and performance both may; by the exact bound of a binomial, for each reference."""
    generator, alarmed = np.random.default_rng(5), []
    for _ in range(REFERENCES):
        training, held_out, others = population.draw(generator, TRAINED_ON, HELD_OUT)
        bundle = population.bundle(training | held_out, held_out, population.actual, tmp_path)
        reports = [
            watch(population.scored.watched(rows, lender.labels, bundle))
            for rows in population.windows(generator, others)
        ]
        assert {len(report.parts) for report in reports} == {3}
        alarmed.append(sum(bool(report.alarms) for report in reports))
        assert len(reports) == WINDOWS
    assert max(alarmed) <= binom.ppf(1 - 0.001 / REFERENCES, WINDOWS, 0.05), alarmed
    assert sum(alarmed) <= binom.ppf(0.999, REFERENCES * WINDOWS, 0.05), alarmed


def softened(probabilities: NDArray[np.float32], by: float) -> NDArray[np.float64]:
    """What is true where probabilities are too sure of themselves."""
    flat = probabilities.astype(np.float64) ** by
    return np.asarray(flat / flat.sum(axis=1, keepdims=True))


def test_intervals_hold_where_the_probabilities_were_seen_to_be_off(population: Population, tmp_path: Path) -> None:
    """A model that is too sure of itself: held-out customers show how far it is off, each draw of them another way."""
    generator, p = np.random.default_rng(6), population.probabilities
    cumulated, assigned = softened(p, 0.5).cumsum(axis=1), population.scored.scorer.bundle.policy.assign(p)
    costs, classes = np.array(population.scored.scorer.bundle.policy.costs), p.shape[1]
    inside = dict.fromkeys(METRICS, 0)
    for _ in range(2 * WINDOWS):
        actual = np.minimum((generator.random((len(p), 1)) > cumulated).sum(axis=1), classes - 1)
        held_out, window, _ = population.draw(generator, HELD_OUT, 4 * ROWS)
        bundle = population.bundle(held_out, held_out, actual, tmp_path)
        found = watch(population.scored.watched(population.scored.frame.filter(pl.Series(window)), bundle=bundle))
        came = np.zeros((classes, classes))
        np.add.at(came, (actual[window], assigned[window]), 1)
        truth = monitored(came, costs)
        for one in found.estimates:
            if one.where == WHOLE and one.metric in inside:
                inside[one.metric] += (one.low or 0.0) <= (truth[one.metric].value or 0.0) <= (one.high or 0.0)
    assert min(inside.values()) >= binom.ppf(0.001, 2 * WINDOWS, 0.95), inside

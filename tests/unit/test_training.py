"""Training: splits that do not leak, calibration, policy and evaluation."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import InputError, SpecError
from features.spec.contract import Floors, Spec
from features.spec.file import parse_spec
from recipes.dataset import Dataset, spec_text
from recipes.synthetic import synthetic
from scoring.policy import Policy
from training.choose_policy import choose_policy
from training.data import (
    Examples,
    Split,
    TrainingData,
    check_no_leak,
    label_examples,
    last_period,
)
from training.fit.calibrate import chain, fit_calibration, fit_ordinal
from training.fit.fit import ModelKind
from training.folds import FOLDS, assign_folds, hold_out
from training.run import RunOptions, Trained, train

SPEC = parse_spec(spec_text("synthetic"))


def data(dataset: Dataset) -> TrainingData:
    return TrainingData(dataset.applications, dataset.events, dataset.labels)


@pytest.fixture(scope="module")
def examples(dataset: Dataset, spec: Spec) -> Examples:
    return label_examples(data(dataset), spec)[0]


def test_each_customer_is_in_one_fold_and_every_class_is_dealt_out_evenly(examples: Examples) -> None:
    fold_of = assign_folds(examples, FOLDS, seed=0)
    pairs = set(zip(examples.customers.tolist(), fold_of.tolist(), strict=True))
    assert len(pairs) == len(set(examples.customers))
    worst = {c: int(examples.actual[examples.customers == c].min()) for c in set(examples.customers.tolist())}
    for number in range(3):
        sizes = [sum(worst[c] == number for c, fold in pairs if fold == f) for f in range(FOLDS)]
        assert max(sizes) - min(sizes) <= 1


def test_a_leak_ends_the_run(examples: Examples) -> None:
    first = examples.customers == examples.customers[0]
    with pytest.raises(InputError, match="1 customers are in train and in test"):
        check_no_leak(Split(examples, examples.only(~first & first), examples.only(first)))


def test_customers_held_out_are_never_trained_on(dataset: Dataset, spec: Spec, examples: Examples) -> None:
    trained = train(data(dataset), spec, ModelKind.DECISION_TREE, RunOptions(holdout=0.2))
    known, test = hold_out(examples, 0.2, 0)
    assert test is not None
    assert not set(known.customers) & set(test.customers)
    assert trained.judged.examples.matrix.tobytes() == test.matrix.tobytes()
    assert trained.evaluation["rows"] == {"train": len(known), "test": len(test)}
    margins = trained.model.margins(test.matrix)
    found = trained.calibration.probabilities(margins).astype(np.float32)
    assert found.tobytes() == trained.judged.probabilities.tobytes()


def test_the_judged_probabilities_are_not_those_of_the_published_model(trained: Trained) -> None:
    """The published model saw everybody; what judges it comes from models that had not seen the customer."""
    own = trained.calibration.probabilities(trained.model.margins(trained.judged.examples.matrix))
    rows, actual = np.arange(len(own)), trained.judged.examples.actual
    assert -np.log(own[rows, actual]).mean() < -np.log(trained.judged.probabilities[rows, actual]).mean() - 0.02


def test_one_label_period_has_no_later_one() -> None:
    may = int(datetime(2025, 5, 3, tzinfo=UTC).timestamp() * 1e6)
    assert last_period(np.array([may, may + 86_400_000_000])) is None
    june = may + 40 * 86_400_000_000
    assert last_period(np.array([may, june])) == int(datetime(2025, 6, 1, tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.slow
def test_training_twice_gives_the_same_model_and_figures(dataset: Dataset, spec: Spec, trained: Trained) -> None:
    again = train(data(dataset), spec)
    assert (
        again.model.margins(again.features.matrix).tobytes() == trained.model.margins(trained.features.matrix).tobytes()
    )
    assert again.evaluation == trained.evaluation
    assert again.fingerprint == trained.fingerprint


@pytest.mark.slow
def test_the_model_is_between_the_majority_class_and_the_best_reachable() -> None:
    dataset = synthetic(4000, seed=5)
    trained = train(data(dataset), SPEC)
    held_out = trained.evaluation["held_out_customers"]
    truth = dataset.extras["truth"].join(dataset.labels, on="application_id")
    p = truth.select("p_poor", "p_standard", "p_good").to_numpy()
    actual = truth["credit_class"].replace_strict({"Poor": 0, "Standard": 1, "Good": 2}).to_numpy()
    best = -np.log(p[np.arange(len(p)), actual]).mean()
    reached = held_out["policy"]["metrics"]["log_loss"]
    majority = held_out["majority_class"]["metrics"]["log_loss"]["value"]
    assert best < reached["high"]
    assert reached["value"] < majority - 0.2
    assert held_out["policy"]["metrics"]["calibration_error"]["value"] < 0.04
    assert trained.evaluation["held_out_customers_and_later"]["from"] >= "2025-10"


def test_the_policy_saves_money_against_the_majority_class(trained: Trained) -> None:
    held_out = trained.evaluation["held_out_customers"]
    cost = {name: held_out[name]["metrics"]["expected_cost"]["value"] for name in ("policy", "majority_class")}
    assert cost["policy"] < cost["majority_class"]


def test_outcomes_follow_the_hidden_state_and_not_the_features() -> None:
    dataset = synthetic(3000, seed=3)
    truth = dataset.extras["truth"].join(dataset.labels, on="application_id")
    for column, name in (("p_poor", "Poor"), ("p_standard", "Standard"), ("p_good", "Good")):
        assert truth[column].mean() == pytest.approx((truth["credit_class"] == name).mean(), abs=0.015)
    assert synthetic(50, seed=3).applications.equals(synthetic(50, seed=3).applications)
    assert not synthetic(50, seed=4).applications.equals(synthetic(50, seed=3).applications)


def test_calibration_undoes_a_known_distortion() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40_000, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    actual = (generator.random(len(p))[:, None] > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    distorted = (logits - [0.5, 0, -0.3]) / [0.5, 0.5, 0.5]
    found = fit_calibration(distorted, actual).probabilities(distorted)
    assert np.abs(found - p).mean() < 0.01
    assert (fit_calibration(-distorted, actual).scale > 0).all()


def test_the_ordinal_calibration_undoes_a_known_distortion_and_never_turns_a_margin_around() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40_000, 2))
    p = chain(logits)
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-12
    actual = (generator.random(len(p))[:, None] > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    nothing = np.zeros(len(p), dtype=np.int64)
    examples = Examples(matrix=logits.astype(np.float32), actual=actual, customers=nothing, as_of=nothing)
    distorted = (logits - [0.5, -0.3]) / [0.5, 2]
    found = fit_ordinal(distorted, examples)
    assert np.abs(found.probabilities(distorted) - p).mean() < 0.01
    assert (fit_ordinal(-distorted, examples).scale > 0).all()


LOSSES = [
    (lambda d: d.labels.rename({"credit_class": "class"}), "credit_class is missing"),
    (lambda d: pl.concat([d.labels, d.labels.head(1)]), "not repeated"),
    (lambda d: d.labels.with_columns(credit_class=pl.lit("Great")), "none of Poor, Standard, Good"),
    (lambda d: d.labels.with_columns(credit_class=pl.lit("Good")), "no application of class Poor, Standard"),
    (lambda d: d.labels.head(20), "customers have a usable, labelled application"),
    (lambda d: d.labels.with_columns(application_id="x" + pl.col("application_id")), "0 customers"),
]


@pytest.mark.parametrize(("change", "message"), LOSSES, ids=[m for _, m in LOSSES])
def test_labels_that_cannot_be_used_are_refused(change: object, message: str, dataset: Dataset, spec: Spec) -> None:
    wrong = TrainingData(dataset.applications, dataset.events, change(dataset))  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        label_examples(wrong, spec)


def test_a_class_of_one_customer_is_named(dataset: Dataset, spec: Spec) -> None:
    better = pl.when(pl.col("credit_class") == "Poor").then(pl.lit("Standard")).otherwise("credit_class")
    labels = dataset.labels.with_columns(better.alias("credit_class"))
    one = labels.with_row_index().with_columns(
        credit_class=pl.when(pl.col("index") == 0).then(pl.lit("Poor")).otherwise("credit_class")
    )
    with pytest.raises(InputError, match="Poor is so rare"):
        train(TrainingData(dataset.applications, dataset.events, one.drop("index")), spec, ModelKind.DECISION_TREE)


def probabilities(rows: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    p = generator.dirichlet((1, 1, 1), rows).astype(np.float32)
    return p, np.array([generator.choice(3, p=row / row.sum()) for row in p.astype(float)])


def test_the_policy_takes_the_cheapest_class_and_ties_go_to_the_worse() -> None:
    policy = Policy(classes=("Poor", "Standard", "Good"), currency="EUR", costs=((0, 2, 5), (2, 0, 1), (6, 1, 0)))
    p, _ = probabilities()
    by_hand = [min(range(3), key=lambda j: (sum(float(row[i]) * policy.costs[i][j] for i in range(3)), j)) for row in p]
    assert policy.assign(p).tolist() == by_hand
    tie = Policy(classes=("Poor", "Good"), currency="EUR", costs=((0, 1), (1, 0)))
    assert tie.assign(np.array([[0.5, 0.5]], dtype=np.float32)).tolist() == [0]


@given(st.floats(0.3, 0.95), st.integers(0, 20))
def test_a_floor_binds_with_the_least_multiplier_or_training_fails(floor: float, seed: int) -> None:
    spec = replace(SPEC, floors=Floors(precision=floor, recall=None))
    p, actual = probabilities(seed=seed)
    try:
        policy = choose_policy(spec, p, actual)
    except SpecError:
        return
    assert _precision(policy, p, actual) >= floor
    if policy.multiplier > 1:
        for less in np.linspace(1, policy.multiplier, 40, endpoint=False):
            assert _precision(Policy.of(spec, float(less)), p, actual) < floor


def _precision(policy: Policy, p: NDArray[np.float32], actual: NDArray[np.int64]) -> float:
    approved = policy.assign(p) == 2
    return float((actual[approved] == 2).mean()) if approved.any() else 0.0


def test_floors_that_contradict_each_other_name_the_closest() -> None:
    p, actual = probabilities()
    with pytest.raises(SpecError, match=r"policy\.floors: no policy meets them .* precision 0\.\d+ with recall"):
        choose_policy(replace(SPEC, floors=Floors(precision=0.999, recall=0.999)), p, actual)

"""Weights of examples: a column says how many applicants each stands for; class weights count in the fit alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from batch.inputs import NO_EVENTS
from features.errors import InputError, SpecError
from features.spec.contract import Floors, Spec
from features.spec.file import parse_spec
from metrics import Outcome, against, class_curves, evaluate
from model_export.export import export
from scoring.bundle.folder import read_bundle
from scoring.evaluate_files import evaluate_decisions
from scoring.policy import Policy
from training.choose_policy import choose_policy
from training.data import Examples, TrainingData, label_examples
from training.fit.calibrate import fit_ordinal
from training.fit.cross_fit import cross_fit
from training.fit.fit import ModelKind
from training.folds import assign_folds
from training.report.figures.curves import by_threshold, calibration, scores
from training.report.figures.histogram import expand, histogram
from training.run import Trained, train

ROWS = 400
TEXT = """
spec_version = 2
name = "weighed"
classes = ["Bad", "Fair", "Good"]
currency = { code = "EUR", minor_digits = 2 }
score = { base_score = 600, base_odds = 2, points_to_double_odds = 50 }

[attributes.a]
kind = "number"
[attributes.b]
kind = "number"

[policy.costs]
Bad = { Bad = 0, Fair = 150, Good = 400 }
Fair = { Bad = 200, Fair = 0, Good = 100 }
Good = { Bad = 1000, Fair = 250, Good = 0 }

[reasons.ALL]
of = ["a", "b"]
high = "high"
low = "low"
missing = "missing"
"""


def _spec(*lines: str) -> Spec:
    return parse_spec("\n".join([TEXT, *lines]))


def _data(weights: Any = None, rows: int = ROWS, where: str = "labels") -> TrainingData:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, rows))
    latent = a - 0.7 * b + generator.logistic(size=rows)
    ids = [f"A{i}" for i in range(rows)]
    applications = pl.DataFrame(
        {
            "application_id": ids,
            "customer_id": [f"C{i // 2}" for i in range(rows)],
            "as_of": "2026-01-01",
            "a": a,
            "b": b,
        }
    )
    labels = pl.DataFrame(
        {"application_id": ids, "credit_class": np.array(["Bad", "Fair", "Good"])[np.digitize(latent, [-0.5, 0.8])]}
    )
    tables = {"applications": applications, "labels": labels}
    if weights is not None:
        tables[where] = tables[where].with_columns(weight=pl.Series(weights))
    return TrainingData(tables["applications"], NO_EVENTS, tables["labels"])


def _outcome(generator: np.random.Generator, weights: NDArray[np.float64] | None, rows: int) -> Outcome:
    p = generator.dirichlet(np.ones(3), rows).astype(np.float32).astype(np.float64)
    return Outcome(
        classes=("Bad", "Fair", "Good"),
        actual=generator.integers(0, 3, rows),
        assigned=generator.integers(0, 3, rows),
        probabilities=np.round(p, 2),
        customers=generator.integers(0, rows // 2, rows),
        costs=np.array([[0, 150, 400], [200, 0, 100], [1000, 250, 0.0]]),
        weights=weights,
    )


def _repeated(outcome: Outcome, times: NDArray[np.int64]) -> Outcome:
    return replace(
        outcome,
        actual=np.repeat(outcome.actual, times),
        assigned=np.repeat(outcome.assigned, times),
        probabilities=np.repeat(outcome.probabilities, times, axis=0),
        customers=np.repeat(outcome.customers, times),
        weights=None,
    )


@pytest.mark.parametrize("seed", range(3))
def test_whole_weights_are_repeated_rows_in_every_metric_and_its_interval(seed: int) -> None:
    generator = np.random.default_rng(seed)
    times = generator.integers(1, 4, 60)
    weighed = _outcome(generator, times.astype(np.float64), 60)
    plain = _repeated(weighed, times)
    one, other = evaluate(weighed), evaluate(plain)
    assert one["metrics"].keys() == other["metrics"].keys()
    for name, figure in one["metrics"].items():
        for end in ("value", "low", "high"):
            # intervals of ranks put neighbours together, which depends on how many rows there are
            assert figure[end] == pytest.approx(other["metrics"][name][end], abs=2e-6), (name, end)
    assert one["confusion"] == other["confusion"]
    assert one["counts"] != {name: sum(row.values()) for name, row in other["confusion"].items()}
    assert against(weighed) == against(plain)
    assert class_curves(weighed) == class_curves(plain)


@pytest.mark.parametrize("seed", range(3))
def test_whole_weights_are_repeated_rows_for_calibration_policy_and_curves(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.fit.calibrate._PENALTY", 0.0)  # is worth 20 examples, and repeats are more examples
    generator = np.random.default_rng(seed)
    rows = 300
    times = generator.integers(1, 4, rows)
    margins = generator.normal(size=(rows, 2))
    actual = (generator.random((rows, 2)) < 1 / (1 + np.exp(-2 * margins))).cumprod(axis=1).sum(axis=1)
    weighed = _examples(margins, actual, np.arange(rows), times / times.mean())
    plain = _by_rows(weighed, margins, times)
    own, rowwise = fit_ordinal(margins, weighed), fit_ordinal(np.repeat(margins, times, axis=0), plain)
    assert own.scale == pytest.approx(rowwise.scale, abs=1e-3)
    assert own.offset == pytest.approx(rowwise.offset, abs=1e-3)
    spec = replace(_spec(), floors=Floors(precision=0.6, recall=None))
    stated = own.probabilities(margins).astype(np.float32)
    repeated = np.repeat(stated, times, axis=0)
    assert choose_policy(spec, stated, actual, weighed.weights) == choose_policy(spec, repeated, plain.actual)
    fold_of = assign_folds(weighed, 5, 0)
    judged = cross_fit(_spec(), weighed, margins, fold_of).judged
    same = replace(judged, examples=plain, probabilities=np.repeat(judged.probabilities, times, axis=0))
    for one, other in ((by_threshold(judged), by_threshold(same)), (scores(judged)["shares"], scores(same)["shares"])):
        assert _flat(one) == pytest.approx(_flat(other), abs=2e-5, nan_ok=True)
    for name, bins in calibration(same).items():
        shares = {round(b["stated"], 3): b["actual"]["value"] for b in bins}
        for b in calibration(judged)[name]:
            assert shares[round(b["stated"], 3)] == pytest.approx(b["actual"]["value"], abs=2e-6)


def _flat(found: dict[str, Any]) -> list[float]:
    """All numbers of nested figures in their order, None as NaN."""
    flat: list[float] = []
    for value in found.values():
        flat += _flat(value) if isinstance(value, dict) else [np.nan if v is None else v for v in value]
    return flat


def _examples(
    margins: NDArray[np.float64], actual: NDArray[np.int64], customers: NDArray[np.int64], weights: Any = None
) -> Examples:
    matrix = margins.astype(np.float32)
    return Examples(matrix=matrix, actual=actual, customers=customers, as_of=np.zeros_like(customers), weights=weights)


def _by_rows(examples: Examples, margins: NDArray[np.float64], times: NDArray[np.int64]) -> Examples:
    actual, customers = np.repeat(examples.actual, times), np.repeat(examples.customers, times)
    return _examples(np.repeat(margins, times, axis=0), actual, customers)


def test_the_histogram_of_weighed_applications_holds_the_weights() -> None:
    generator = np.random.default_rng(0)
    p, actual = generator.dirichlet(np.ones(3), 500).astype(np.float32), generator.integers(0, 3, 500)
    weights = generator.uniform(0.1, 3, 500)
    stated, classes, counted = expand(histogram(p, actual, weights))
    assert counted is not None
    assert np.bincount(classes, counted) == pytest.approx(np.bincount(actual, weights), abs=1e-3)
    assert counted @ stated / counted.sum() == pytest.approx(weights @ p / weights.sum(), abs=1e-3)


@pytest.mark.parametrize("weights", [[1.0] * ROWS, ["7"] * ROWS])
def test_equal_weights_give_the_same_bits_as_none(weights: list[Any]) -> None:
    plain = train(_data(), _spec(), ModelKind.DECISION_TREE)
    weighed = train(_data(weights), _spec('[weights]\ncolumn = "weight"'), ModelKind.DECISION_TREE)
    assert weighed.evaluation == plain.evaluation
    assert weighed.fingerprint == plain.fingerprint
    assert weighed.policy == plain.policy
    matrix = plain.features.matrix
    assert (weighed.model.margins(matrix) == plain.model.margins(matrix)).all()
    assert (weighed.calibration.scale == plain.calibration.scale).all()


@pytest.fixture(scope="module")
def thinned() -> tuple[Trained, Trained]:
    """A whole book, and one of which half of the Good were thrown away and the other half weighs double."""
    data = _data(rows=3000)
    good = (data.labels["credit_class"] == "Good").to_numpy()
    kept = ~good | (np.arange(len(good)) % 4 < 2)  # whole customers
    weighed = data.labels.with_columns(weight=pl.Series(np.where(good, 2.0, 1.0)))
    spec = _spec('[weights]\ncolumn = "weight"')
    some = TrainingData(data.applications, data.events, weighed.filter(pl.Series(kept)))
    return train(data, _spec(), ModelKind.DECISION_TREE), train(some, spec, ModelKind.DECISION_TREE)


@pytest.mark.slow
def test_a_thinned_book_with_weights_tells_of_the_whole_book(thinned: tuple[Trained, Trained]) -> None:
    whole, some = thinned
    of_whole, of_some = (t.evaluation["held_out_customers"]["policy"]["metrics"] for t in thinned)
    for name, close in (("accuracy", 0.04), ("expected_cost", 12.0), ("auc", 0.02), ("calibration_error", 0.03)):
        assert of_some[name]["value"] == pytest.approx(of_whole[name]["value"], abs=close), name
    p = [t.calibration.probabilities(t.model.margins(whole.features.matrix)).mean(axis=0) for t in thinned]
    assert p[0] == pytest.approx(p[1], abs=0.03), "the weights undo the thinning, in what the model states, too"
    assert some.judged.prior == pytest.approx(whole.judged.prior, abs=0.03)


@pytest.mark.slow
def test_a_weighed_model_exports_and_its_bundle_says_what_counts(
    thinned: tuple[Trained, Trained], tmp_path: Any
) -> None:
    bundle = read_bundle(export(thinned[1], tmp_path))
    policy = bundle.evaluation.policy
    assert sum(policy["counts"].values()) == policy["applications"]
    assert sum(sum(row.values()) for row in policy["confusion"].values()) == pytest.approx(policy["applications"], 1e-3)
    assert policy["confusion"]["Good"] != policy["counts"]["Good"]


def test_evaluate_takes_the_weights_that_the_labels_have() -> None:
    spec, labels = _spec('[weights]\ncolumn = "weight"'), _data().labels
    p = np.random.default_rng(2).dirichlet(np.ones(3), ROWS).astype(np.float32)
    decisions = labels.select(
        "application_id",
        pl.Series("customer_id", [f"C{i}" for i in range(ROWS)]),
        pl.Series("credit_class", np.array(["Bad", "Fair", "Good"])[p.argmax(axis=1)]),
        *(pl.Series(f"p_{name}", p[:, i]) for i, name in enumerate(("bad", "fair", "good"))),
    )
    times = np.arange(ROWS) % 3
    weighed = labels.with_columns(weight=pl.Series([str(t) for t in times]))
    found = evaluate_decisions(decisions, weighed, Policy.of(spec), spec)
    plain = evaluate_decisions(decisions, labels, Policy.of(spec), spec)
    right = (decisions["credit_class"] == labels["credit_class"]).to_numpy()
    assert found["weights"] == "weight"
    assert found["applications"] == (times > 0).sum()
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(np.average(right, weights=times), abs=1e-6)
    assert "weights" not in plain
    assert plain["metrics"]["accuracy"]["value"] == pytest.approx(right.mean(), abs=1e-6)


@pytest.mark.parametrize("classes", ["{ Bad = 4.0 }", '"balanced"'])
@pytest.mark.slow
def test_class_weights_count_in_the_fit_and_calibration_takes_them_out(classes: str) -> None:
    data = _data(rows=3000)
    plain = train(data, _spec(), ModelKind.DECISION_TREE)
    pulled = train(data, _spec(f"[weights]\nclasses = {classes}"), ModelKind.DECISION_TREE)
    matrix = plain.features.matrix
    assert (pulled.model.margins(matrix) != plain.model.margins(matrix)).any()
    if "Bad" in classes:
        assert pulled.model.margins(matrix)[:, 0].mean() < plain.model.margins(matrix)[:, 0].mean() - 0.8
    shares = np.bincount(pulled.split.train.actual) / len(pulled.split.train)
    stated = pulled.calibration.probabilities(pulled.model.margins(matrix)).mean(axis=0)
    assert stated == pytest.approx(shares, abs=0.02)
    one, other = (t.evaluation["held_out_customers"]["policy"] for t in (pulled, plain))
    assert one["applications"] == other["applications"]
    assert "counts" not in one, "figures count everybody once"
    assert one["metrics"]["log_loss"]["value"] == pytest.approx(other["metrics"]["log_loss"]["value"], abs=0.03)


def test_few_rows_do_not_keep_class_weights_in_the_calibration() -> None:
    generator = np.random.default_rng(5)
    actual = (generator.random(80) < 0.5).astype(np.int64)
    margins = np.zeros((80, 1)) + np.log(20)  # a fit that saw the better class twenty times
    examples = replace(_examples(margins, actual, np.arange(80)), class_weights=np.array([1.0, 20.0]))
    assert fit_ordinal(margins, examples).probabilities(margins)[0, 1] == pytest.approx(actual.mean(), abs=0.03)


BAD = {
    "negative": ([-1.0] + [1.0] * (ROWS - 1), "1 negative"),
    "missing": ([None, None] + [1.0] * (ROWS - 2), "2 missing"),
    "words": (["heavy"] + ["1.5"] * (ROWS - 1), "1 no number"),
    "not a number": ([float("nan")] + [1.0] * (ROWS - 1), "1 no number"),
    "infinite": (["inf"] + ["1"] * (ROWS - 1), "1 no number"),
    "flags": ([True] * ROWS, f"{ROWS} no number"),
}


@pytest.mark.parametrize("name", BAD)
def test_weights_that_are_no_weights_are_refused_with_counts(name: str) -> None:
    weights, said = BAD[name]
    with pytest.raises(InputError, match=rf"labels: column 'weight': of {ROWS} .*{said}.*delete weights\.column") as e:
        label_examples(_data(weights), _spec('[weights]\ncolumn = "weight"'))
    assert "heavy" not in str(e.value)


def test_a_weight_column_is_in_one_table() -> None:
    spec = _spec('[weights]\ncolumn = "weight"')
    with pytest.raises(InputError, match="of labels and applications neither has a column 'weight'"):
        label_examples(_data(), spec)
    twice = replace(_data([2.0] * ROWS), applications=_data([2.0] * ROWS, where="applications").applications)
    with pytest.raises(InputError, match="both have a column 'weight'"):
        label_examples(twice, spec)
    own = np.arange(1.0, ROWS + 1)
    by_label, _ = label_examples(_data(own), spec)
    by_application, _ = label_examples(_data(own, where="applications"), spec)
    assert by_label.weights is not None
    assert by_application.weights is not None
    assert (by_label.weights == by_application.weights).all()
    assert by_label.weights.mean() == pytest.approx(1)


def test_a_weight_of_0_leaves_an_application_out_and_a_class_without_weight_is_refused() -> None:
    spec, data = _spec('[weights]\ncolumn = "weight"'), _data()
    bad = (data.labels["credit_class"] == "Bad").to_numpy()
    half = np.where(np.arange(ROWS) < 10, 0.0, 1.0)
    examples, _ = label_examples(_data(half), spec)
    assert len(examples) == ROWS - 10
    with pytest.raises(InputError, match="no application of class Bad whose weight is above 0"):
        label_examples(_data(np.where(bad, 0.0, 1.0)), spec)
    with pytest.raises(InputError, match="customers have a usable, labelled application"):
        label_examples(_data(np.zeros(ROWS)), spec)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('[weights]\ncolumn = "a"', r"weights\.column: 'a' is an attribute"),
        ('[weights]\ncolumn = "credit_class"', r"weights\.column: 'credit_class' is an attribute, an id"),
        ('[weights]\ncolumn = ""', r"weights\.column: '' is"),
        ("[weights]\ncolumn = 3", r"weights\.column: expected text"),
        (
            "[weights]\nclasses = { Bad = -1 }",
            r"weights\.classes\.Bad: expected a weight from 0\.001 to 1000, found -1",
        ),
        ("[weights]\nclasses = { Bad = 0 }", r"weights\.classes\.Bad: expected a weight from"),
        ("[weights]\nclasses = { Worse = 2 }", r"weights\.classes\.Worse: unknown key"),
        ('[weights]\nclasses = "even"', r'weights\.classes: expected "balanced"'),
        ("[weights]\ncolour = 2", r"weights\.colour: unknown key"),
    ],
)
def test_a_spec_with_wrong_weights_names_the_key(lines: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        _spec(lines)


def test_a_spec_of_version_1_knows_no_weights() -> None:
    with pytest.raises(SpecError, match="weights: unknown key"):
        parse_spec(TEXT.replace("spec_version = 2", "spec_version = 1") + '[weights]\ncolumn = "w"\n')

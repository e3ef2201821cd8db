"""Figures of ranking against scikit-learn, with ties and with customers who are drawn several times."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from metrics import (
    Metric,
    Outcome,
    Ranked,
    auc,
    class_curves,
    curves,
    evaluate,
    find,
    listed,
    markdown,
    named,
    resamples,
)
from metrics.kinds import Ranks
from tests.conftest import PROJECT

CLASSES = ("Poor", "Standard", "Good")


def outcome(seed: int = 0, rows: int = 400, digits: int = 1) -> Outcome:
    """Probabilities that are rounded, so that many are equal; two applications a customer, some three."""
    generator = np.random.default_rng(seed)
    stated = generator.dirichlet((2, 2, 2), rows)
    probabilities = np.round(stated, digits)
    return Outcome(
        classes=CLASSES,
        actual=np.array([generator.choice(3, p=p) for p in stated]),
        assigned=probabilities.argmax(axis=1),
        probabilities=probabilities,
        customers=np.arange(rows) * 2 // 5,
    )


def by_hand(o: Outcome, weights: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None) -> dict[str, float]:
    """The same figures by scikit-learn."""
    p = o.probabilities
    found: dict[str, float] = {}
    for name, score, positive in (("", p[:, 2], o.actual == 2), ("_better_than_worst", -p[:, 0], o.actual > 0)):
        area = reference.roc_auc_score(positive, score, sample_weight=weights)
        wrong, right, _ = reference.roc_curve(positive, score, sample_weight=weights, drop_intermediate=False)
        found |= {f"auc{name}": area, f"gini{name}": 2 * area - 1, f"ks{name}": float(np.abs(right - wrong).max())}
    for i, name in enumerate(CLASSES):
        average = reference.average_precision_score(o.actual == i, p[:, i], sample_weight=weights)
        found[f"average_precision_{name}"] = average
    return found


def ranking(name: str) -> Metric:
    metric = find(name)
    assert metric is not None
    return metric


@pytest.mark.parametrize("digits", [1, 2, 17])
def test_ranking_equals_scikit_learn_with_ties_too(digits: int) -> None:
    o = outcome(digits=digits)
    found = evaluate(o)["metrics"]
    for name, wanted in by_hand(o).items():
        assert found[name]["value"] == pytest.approx(wanted, abs=1e-6), name


@pytest.mark.slow
def test_the_interval_is_that_of_customers_drawn_with_replacement() -> None:
    o = outcome()
    found = evaluate(o)["metrics"]
    _, owner = np.unique(o.customers, return_inverse=True)
    drawn = [by_hand(o, draw[owner]) for draws in resamples(owner.max() + 1) for draw in draws]
    for name, value in by_hand(o).items():
        resampled = np.array([one[name] for one in drawn])
        low, high = np.percentile(resampled, (2.5, 97.5)) - (resampled.mean() - value)
        assert (found[name]["low"], found[name]["high"]) == pytest.approx((low, high), abs=2e-6), name


def test_many_scores_are_put_together_for_resamples_and_the_interval_stays() -> None:
    o = outcome(rows=6000, digits=17)
    found = evaluate(o)["metrics"]["auc"]
    _, owner = np.unique(o.customers, return_inverse=True)
    scores, positive = o.probabilities[:, 2], o.actual == 2
    drawn = [
        reference.roc_auc_score(positive, scores, sample_weight=draw[owner])
        for draws in resamples(owner.max() + 1)
        for draw in draws[:10]
    ]
    assert found["high"] - found["low"] == pytest.approx(3.92 * np.std(drawn), rel=0.15)
    assert found["low"] < found["value"] < found["high"]


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_auc_of_any_scores(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([row[0] for row in rows], dtype=float), np.array([row[1] for row in rows])
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert auc(scores, positive) == (pytest.approx(np.mean(pairs)) if pairs else None)


def test_curves_pass_the_points_of_scikit_learn() -> None:
    o = outcome(rows=300, digits=1)
    curve = class_curves(o)["Good"]
    wrong, right, _ = reference.roc_curve(o.actual == 2, o.probabilities[:, 2], drop_intermediate=False)
    assert curve["false_positive"] == pytest.approx(wrong, abs=1e-5)
    assert curve["recall"] == pytest.approx(right, abs=1e-5)
    precision, recall, _ = reference.precision_recall_curve(o.actual == 2, o.probabilities[:, 2])
    for at, value in zip(curve["recall"][1:], curve["precision"][1:], strict=True):
        assert any(abs(at - r) < 2e-5 and abs(value - p) < 2e-5 for r, p in zip(recall, precision, strict=True))
    thinned = curves(np.random.default_rng(0).random(5000), np.arange(5000) % 3 == 0)
    assert len(thinned["recall"]) <= 203
    assert (thinned["recall"][-1], thinned["false_positive"][-1]) == (1.0, 1.0)


def test_what_cannot_be_ranked_is_null_and_two_classes_have_one_target() -> None:
    o = outcome()
    nobody = evaluate(replace(o, actual=np.zeros_like(o.actual)))["metrics"]
    assert nobody["auc"] == {"value": None, "low": None, "high": None}
    assert nobody["ks_better_than_worst"]["value"] is None
    two = replace(
        o,
        classes=("Poor", "Good"),
        actual=(o.actual > 1).astype(int),
        assigned=(o.assigned > 1).astype(int),
        probabilities=np.stack([1 - o.probabilities[:, 2], o.probabilities[:, 2]], axis=1),
    )
    found = evaluate(two)["metrics"]
    assert "auc_better_than_worst" not in found
    assert found["auc"]["value"] == pytest.approx(
        reference.roc_auc_score(two.actual, two.probabilities[:, 1]), abs=1e-6
    )


def test_the_documentation_holds_the_table() -> None:
    assert markdown() in (PROJECT / "docs/metrics.md").read_text()


def test_every_metric_says_what_it_is() -> None:
    names = [metric.name for metric in listed()]
    assert len(set(names)) == len(names)
    for metric in listed():
        assert metric.formula, metric.name
        assert metric.short, metric.name
        assert "{" not in metric.about(0, "Poor").called(CLASSES), metric.name
    assert isinstance(named("auc").value, Ranks)
    assert ranking("average_precision_Good").name == "average_precision"
    assert Ranked(np.array([0.1, 0.1]), np.array([True, False])).groups().positive.tolist() == [1.0]

"""Metrics against scikit-learn, and intervals that follow customers."""

import numpy as np
import pytest
from sklearn import metrics as reference

from metrics import Outcome, evaluate

CLASSES = ("Poor", "Standard", "Good")


def outcome(seed: int = 0, rows: int = 600) -> Outcome:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet((2, 2, 2), rows)
    actual = np.array([generator.choice(3, p=p) for p in probabilities])
    return Outcome(
        classes=CLASSES,
        actual=actual,
        assigned=probabilities.argmax(axis=1),
        probabilities=probabilities,
        customers=np.arange(rows) // 2,
        costs=np.array([[0, 2, 5], [2, 0, 1], [6, 1, 0]], dtype=float),
    )


def test_metrics_equal_scikit_learn() -> None:
    o = outcome()
    values = {name: m["value"] for name, m in evaluate(o)["metrics"].items()}
    assert values["accuracy"] == pytest.approx(reference.accuracy_score(o.actual, o.assigned), abs=1e-6)
    assert values["macro_f1"] == pytest.approx(reference.f1_score(o.actual, o.assigned, average="macro"), abs=1e-6)
    assert values["log_loss"] == pytest.approx(reference.log_loss(o.actual, o.probabilities), abs=1e-6)
    precision = reference.precision_score(o.actual, o.assigned, average=None)
    recall = reference.recall_score(o.actual, o.assigned, average=None)
    for i, name in enumerate(CLASSES):
        assert values[f"precision_{name}"] == pytest.approx(precision[i], abs=1e-6)
        assert values[f"recall_{name}"] == pytest.approx(recall[i], abs=1e-6)
    table = reference.confusion_matrix(o.actual, o.assigned)
    assert values["false_negative_rate"] == pytest.approx(table[2, 0] / table[2].sum(), abs=1e-6)
    assert values["false_negative_rate_wide"] == pytest.approx(table[2, :2].sum() / table[2].sum(), abs=1e-6)
    assert o.costs is not None
    assert values["expected_cost"] == pytest.approx(o.costs[o.actual, o.assigned].mean(), abs=1e-6)
    assert list(evaluate(o)["confusion"]["Good"].values()) == table[2].tolist()


def test_calibration_error_is_the_binned_gap() -> None:
    o = outcome()
    gap = 0.0
    for c in range(3):
        bins = np.minimum((o.probabilities[:, c] * 15).astype(int), 14)
        gap += sum(abs((o.probabilities[bins == b, c] - (o.actual[bins == b] == c)).sum()) for b in range(15))
    assert evaluate(o)["metrics"]["calibration_error"]["value"] == pytest.approx(gap / len(o.actual) / 3, abs=1e-6)


def test_intervals_hold_the_value_and_widen_when_customers_repeat() -> None:
    once = outcome()
    m = evaluate(once)["metrics"]
    assert all(v["low"] <= v["value"] <= v["high"] for v in m.values())
    copies = Outcome(
        classes=CLASSES,
        actual=np.tile(once.actual, 4),
        assigned=np.tile(once.assigned, 4),
        probabilities=np.tile(once.probabilities, (4, 1)),
        customers=np.tile(once.customers, 4),
    )
    repeated = evaluate(copies)["metrics"]["accuracy"]
    width, repeated_width = m["accuracy"]["high"] - m["accuracy"]["low"], repeated["high"] - repeated["low"]
    assert repeated_width == pytest.approx(width, rel=0.15), "four rows of a customer are no more evidence than one"


def test_a_class_that_is_never_assigned_has_no_precision() -> None:
    o = outcome()
    only = Outcome(
        classes=CLASSES,
        actual=o.actual,
        assigned=np.zeros_like(o.actual),
        probabilities=o.probabilities,
        customers=o.customers,
    )
    result = evaluate(only)["metrics"]
    assert result["precision_Good"] == {"value": None, "low": None, "high": None}
    assert result["recall_Good"]["value"] == 0
    assert "expected_cost" not in result

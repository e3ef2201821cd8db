"""Of a model of two classes, whether it is the right way round: told from few labels, and hardly ever wrongly."""

from dataclasses import replace

import numpy as np
import pytest

from features.errors import ExportError
from features.spec.contract import Spec
from training.class_order import check_class_order
from training.data import Examples


def refused(spec: Spec, seed: int, strength: float, rows: int = 150) -> bool:
    """Whether a book of so many labels refuses a model whose margin counts so much; below 0 it is upside down."""
    random = np.random.default_rng(seed)
    margin = random.normal(size=rows)
    actual = (random.random(rows) < 1 / (1 + np.exp(-1.5 - strength * margin))).astype(np.int64)
    examples = Examples(
        matrix=np.zeros((rows, 1), dtype=np.float32),
        actual=actual,
        customers=np.arange(rows),
        as_of=np.zeros(rows, dtype=np.int64),
    )
    try:
        check_class_order(np.column_stack([np.zeros(rows), margin]), examples, replace(spec, classes=("bad", "good")))
    except ExportError:
        return True
    return False


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_a_model_that_is_not_upside_down_is_hardly_ever_refused(spec: Spec, strength: float) -> None:
    assert sum(refused(spec, seed, strength) for seed in range(100)) <= 1


def test_a_model_that_is_upside_down_is_refused_by_few_labels(spec: Spec) -> None:
    """At 4 standard errors, as among many orders, fewer than half of these books would tell."""
    found = sum(refused(spec, seed, -1.4) for seed in range(100))
    assert found >= 50, found

"""Few defaults, separable classes, extreme margins: a model or a clear error, never a refusal by its own gate."""

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import CreditError
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from scoring.bundle.folder import read_bundle
from scoring.scorer import Scorer
from tests.sizes import size
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train

pytestmark = pytest.mark.slow

SPEC = """
spec_version = 2
name = "few"
classes = ["Poor", "Good"]
[currency]
code = "EUR"
minor_digits = 2
[attributes.income]
kind = "number"
[attributes.debt]
kind = "number"
[attributes.age]
kind = "number"
[policy.costs]
Poor = { Poor = 0, Good = 500 }
Good = { Poor = 100, Good = 0 }
[score]
base_score = 600
base_odds = 2
points_to_double_odds = 50
[reasons.R]
of = ["income", "debt", "age"]
high = "high"
low = "low"
missing = "missing"
"""


def book(rows: int, defaults: int, strength: float, seed: int) -> TrainingData:
    """`strength` 0: the columns say nothing; large: they part the classes."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3))
    order = np.argsort(strength * x[:, 0] - 0.3 * strength * x[:, 1] + generator.normal(size=rows))
    poor = np.isin(np.arange(rows), order[:defaults])
    ids = [f"a{i}" for i in range(rows)]
    names = ("income", "debt", "age")
    columns = {name: [f"{v:.4f}" for v in x[:, i]] for i, name in enumerate(names)}
    applications = pl.DataFrame({"application_id": ids, "customer_id": ids, "as_of": ["2026-01-01"] * rows, **columns})
    labels = pl.DataFrame({"application_id": ids, "credit_class": np.where(poor, "Poor", "Good")})
    nothing = pl.DataFrame(schema=dict.fromkeys(("customer_id", "occurred_at", "kind", "amount"), pl.String))
    return TrainingData(applications, nothing, labels)


@pytest.fixture(scope="module")
def few() -> Spec:
    return parse_spec(SPEC)


@given(
    st.builds(
        book,
        rows=st.integers(60, 400),
        defaults=st.integers(2, 35),
        strength=st.sampled_from([0.0, 1.0, 5.0, 1000.0]),
        seed=st.integers(0, 10**6),
    )
)
@settings(max_examples=size(gate=4, whole=25))
def test_training_never_fails_by_its_own_gate(
    few: Spec, tmp_path_factory: pytest.TempPathFactory, data: TrainingData
) -> None:
    trained = train(data, few)
    parity = read_bundle(export(trained, tmp_path_factory.mktemp("few"))).manifest["parity"]
    assert parity["largest_difference"] <= 2e-7, "margins are the same bits, so that only the last steps differ"


@pytest.mark.parametrize("kind", list(ModelKind))
@pytest.mark.parametrize(("rows", "defaults"), [(392, 35), (283, 25), (80, 2)])
def test_a_book_of_few_defaults_gives_a_model(
    kind: ModelKind, rows: int, defaults: int, few: Spec, tmp_path: Path
) -> None:
    filters = list(warnings.filters)
    trained = train(book(rows, defaults, 2.0, 1), few, kind)
    assert list(warnings.filters) == filters, "forests that grow side by side would leave them in disorder"
    assert np.isfinite(trained.judged.probabilities).all()
    assert Scorer.open(export(trained, tmp_path)).bundle.manifest["evaluation"]["protocol"] == "cross-fitted"


@pytest.mark.parametrize("defaults", [0, 1])
def test_a_class_that_nobody_or_one_customer_has_is_a_clear_error(defaults: int, few: Spec) -> None:
    with pytest.raises(CreditError, match=r"no application of class Poor|Poor is so rare"):
        train(book(200, defaults, 1.0, 0), few)

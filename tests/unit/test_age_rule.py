"""never_worse_from: applicants of 62 and over never score below younger ones, whatever the data say."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from batch.inputs import NO_EVENTS
from features.errors import ExportError, SpecError
from features.matrix import build_features, list_features
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from model_export.sweep import Proof, _never_worse
from model_export.trees.trees import from_model
from scoring.bundle.folder import read_bundle
from scoring.model import Model
from scoring.scorer import Scorer
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train

ROWS = 1500
TEXT = """
spec_version = 2
name = "with-age"
classes = ["Bad", "Good"]
currency = { code = "USD", minor_digits = 2 }
score = { base_score = 600, base_odds = 2, points_to_double_odds = 50 }

[attributes.age]
kind = "integer"
unit = "years"
range = [18, 110]
never_worse_from = 62
[attributes.income]
kind = "number"

[policy.costs]
Bad = { Bad = 0, Good = 400 }
Good = { Bad = 300, Good = 0 }

[reasons.AGE]
of = ["age"]
high = "high"
low = "low"
missing = "missing"
[reasons.INCOME]
of = ["income"]
high = "high"
low = "low"
missing = "missing"
"""
BORN = (
    'kind = "integer"\nunit = "years"\nrange = [18, 110]\nnever_worse_from = 62',
    'kind = "date"\nnever_worse_from = 22644',
)


def _data(age: str = "age") -> TrainingData:
    """The old repay worst by far, so that a model without the rule would hold it against them."""
    generator = np.random.default_rng(3)
    ages, income = generator.integers(18, 95, ROWS), generator.normal(size=ROWS)
    good = income + 2.5 * (ages < 60) - 1.2 + generator.logistic(size=ROWS) > 0
    ids = [f"A{i}" for i in range(ROWS)]
    applications = pl.DataFrame(
        {
            "application_id": ids,
            "customer_id": ids,
            "as_of": "2026-06-01",
            "age": ages if age == "age" else [str(date(2026 - a, 3, 1)) for a in ages],
            "income": income,
        }
    )
    labels = pl.DataFrame({"application_id": ids, "credit_class": np.where(good, "Good", "Bad")})
    return TrainingData(applications, NO_EVENTS, labels)


def _by_age(scorer: Scorer, cells: Sequence[str | int]) -> pl.DataFrame:
    """Decisions about 20 applicants at each age, all else equal."""
    incomes = np.linspace(-2, 2, 20)
    rows = [
        (f"{i}-{k}", f"{i}-{k}", "2026-06-01", cell, income)
        for i, cell in enumerate(cells)
        for k, income in enumerate(incomes)
    ]
    frame = pl.DataFrame(rows, orient="row", schema=["application_id", "customer_id", "as_of", "age", "income"])
    decisions = scorer.score(frame, NO_EVENTS).decisions
    assert decisions.height == len(rows)
    return decisions.with_columns(
        place=pl.Series([i for i in range(len(cells)) for _ in incomes]),
        who=pl.Series([k for _ in cells for k in range(20)]),
    )


@pytest.mark.parametrize("kind", list(ModelKind))
@pytest.mark.slow
def test_no_applicant_of_62_and_over_scores_below_a_younger_one(kind: ModelKind, tmp_path: Path) -> None:
    trained = train(_data(), parse_spec(TEXT), kind)
    folder = export(trained, tmp_path)
    ages = list(range(18, 111))
    found = _by_age(Scorer.open(folder), ages)
    score = found.sort("who", "place")["credit_score"].to_numpy().reshape(20, len(ages))
    good = found.sort("who", "place")["p_good"].to_numpy().reshape(20, len(ages))
    old = np.array(ages) >= 62
    assert (score[:, old].min(axis=1) >= score[:, ~old].max(axis=1)).all()
    assert (good[:, old].min(axis=1) >= good[:, ~old].max(axis=1)).all()
    assert (good[:, old] == good[:, old][:, :1]).all(), "from 62 on all ages are one"
    assert (
        not found.filter(pl.col("place") >= 62 - 18)["reasons"]
        .list.eval(pl.element().struct["code"] == "AGE")
        .list.any()
        .any()
    )
    rule = read_bundle(folder).manifest["parity"]["directions"]["never_worse"]
    assert [(r["feature"], r["from"]) for r in rule] == [("age", 62.0)]
    split_on = {int(f) for tree in from_model(trained.model).trees for f in tree.feature[tree.left >= 0]}
    if 0 in split_on:
        assert rule[0]["comparisons"] > 0


@pytest.mark.slow
def test_a_date_of_birth_keeps_the_rule_by_days(tmp_path: Path) -> None:
    spec = parse_spec(TEXT.replace(*BORN))
    scorer = Scorer.open(export(train(_data("born"), spec, ModelKind.DECISION_TREE), tmp_path))
    born = ["1940-01-01", "1963-05-30", "1964-06-01", "1964-06-03", "1975-01-01", "2000-01-01"]
    found = _by_age(scorer, born).sort("who", "place")["credit_score"].to_numpy().reshape(20, len(born))
    assert (found[:, :3].min(axis=1) >= found[:, 3:].max(axis=1)).all()
    assert (found[:, :3] == found[:, :1]).all(), "62 years to the day, with 15 or 16 leap days"


@pytest.mark.slow
def test_the_sweep_sees_a_model_that_holds_age_against_the_old(tmp_path: Path) -> None:
    free = parse_spec(TEXT.replace("never_worse_from = 62\n", ""))
    trained = train(_data(), free, ModelKind.DECISION_TREE)
    bundle = read_bundle(export(trained, tmp_path))
    spec = parse_spec(TEXT)
    proof = Proof(
        model=Model(bundle.model, 2, 2), spec=spec, policy=bundle.policy, names=[f.name for f in list_features(spec)]
    )
    rows = trained.features.matrix[:100]
    with pytest.raises(
        ExportError, match=r"the probability of the best class is worse from age 62 on than below it in \d+ of"
    ):
        list(_never_worse(proof, from_model(trained.model), rows))


def test_the_feature_stops_at_the_value_in_frames_and_messages_alike() -> None:
    spec = parse_spec(TEXT)
    frame = pl.DataFrame(
        {
            "application_id": ["a", "b", "c"],
            "customer_id": ["a", "b", "c"],
            "as_of": "2026-06-01",
            "age": ["61", "99", ""],
            "income": 0.0,
        }
    )
    assert build_features(frame, NO_EVENTS, spec).matrix[:, 0].tolist()[:2] == [61.0, 62.0]
    assert np.isnan(build_features(frame, NO_EVENTS, spec).matrix[2, 0])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("never_worse_from = 62", 'never_worse_from = 62\ndirection = "down"', 'contradicts direction = "down"'),
        ("never_worse_from = 62", "never_worse_from = 200", "200 is not above the lowest and within the range"),
        ("never_worse_from = 62", "never_worse_from = 18", "18 is not above the lowest"),
        ("never_worse_from = 62", 'never_worse_from = "62"', "never_worse_from: expected a finite number, found text"),
        ("never_worse_from = 62", "never_worse_from = true", "never_worse_from: expected a finite number"),
        (
            '[attributes.income]\nkind = "number"',
            '[attributes.income]\nkind = "category"\nvalues = ["a", "b"]\nordered = true\nnever_worse_from = 1',
            r"income\.never_worse_from: a category is no quantity",
        ),
        (
            '[attributes.income]\nkind = "number"',
            '[attributes.income]\nkind = "list"\nvalues = ["a"]\nnever_worse_from = 1',
            r"income\.never_worse_from: a list is no quantity",
        ),
        ("spec_version = 2", "spec_version = 1", "never_worse_from: unknown key"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(before: str, after: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_spec(TEXT.replace(before, after))


def test_the_rule_means_up() -> None:
    spec: Spec = parse_spec(TEXT.replace("never_worse_from = 62", 'never_worse_from = 62\ndirection = "up"'))
    assert spec.attributes[0].direction == parse_spec(TEXT).attributes[0].direction == 1

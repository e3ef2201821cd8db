"""Directions: what a spec may say, what follows for each feature, and that no model of any kind moves against one."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import ExportError, SpecError
from features.matrix import list_features
from features.spec.contract import Spec
from features.spec.directions import feature_directions
from features.spec.file import parse_spec
from model_export.export import export
from model_export.sweep import Proof, sweep
from model_export.trees.trees import from_model
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from scoring.model import Model
from scoring.policy import Policy
from tests.conftest import Credit
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train

_ATTRIBUTES = {"annual_income": "up", "outstanding_debt": "down", "credit_mix": "up", "months_employed": "up"}
_GROUPS = {"income": ("up", "in"), "trouble": ("down", "out")}


def directed(text: str) -> str:
    """The spec of the dataset, as version 2 with directions."""
    text = text.replace("spec_version = 1", "spec_version = 2")
    for name, direction in _ATTRIBUTES.items():
        text = text.replace(f"[attributes.{name}]\n", f'[attributes.{name}]\ndirection = "{direction}"\n')
    for name, (direction, flow) in _GROUPS.items():
        text = text.replace(f"[rfm.{name}]\n", f'[rfm.{name}]\ndirection = "{direction}"\nflow = "{flow}"\n')
    return text


@pytest.fixture(scope="module")
def contrary(dataset: Dataset) -> Spec:
    """Directions that the data contradicts, all of them."""
    other = {"up": "down", "down": "up"}
    text = directed(dataset.spec_text)
    return parse_spec(re.sub(r'direction = "(\w+)"', lambda found: f'direction = "{other[found[1]]}"', text))


def test_a_direction_says_something_about_each_feature(dataset: Dataset) -> None:
    spec = parse_spec(directed(dataset.spec_text))
    found = dict(zip([f.name for f in list_features(spec)], feature_directions(spec), strict=True))
    assert found["annual_income"] == found["credit_mix"] == 1
    assert found["outstanding_debt"] == -1
    assert found["income_count_90d"] == found["income_sum_365d"] == found["income_trend_90d_365d"] == 1
    assert found["income_days_since_last_365d"] == -1
    assert found["income_std_90d"] == 0
    assert found["trouble_count_365d"] == -1
    assert found["trouble_days_since_last_365d"] == 1
    assert found["trouble_sum_365d"] == found["trouble_max_365d"] == 1, "more of it is a smaller number"
    assert found["spending_count_30d"] == 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "[attributes.occupation]\n",
            '[attributes.occupation]\ndirection = "up"\n',
            "occupation.direction: a category",
        ),
        ("[attributes.loans]\n", '[attributes.loans]\ndirection = "up"\n', "loans.direction: a list"),
        (
            "[attributes.months_employed]\n",
            '[attributes.months_employed]\ndirection = "more"\n',
            "months_employed.direction: expected up or down",
        ),
        ("[rfm.income]\n", '[rfm.income]\ndirection = "up"\n', "income.flow: missing beside direction"),
        ("[rfm.income]\n", '[rfm.income]\nflow = "sideways"\n', "income.flow: expected in or out"),
    ],
)
def test_a_direction_that_says_nothing_is_refused(dataset: Dataset, before: str, after: str, message: str) -> None:
    text = dataset.spec_text.replace("spec_version = 1", "spec_version = 2")
    with pytest.raises(SpecError, match=message):
        parse_spec(text.replace(before, after))


BLOCK = """
[directions]
attributes.months_employed = { direction = "up" }
rfm.trouble = { direction = "down", flow = "out" }
"""


def test_a_block_of_directions_means_what_the_tables_would_say(dataset: Dataset) -> None:
    text = dataset.spec_text.replace(
        "[attributes.months_employed]\n", '[attributes.months_employed]\ndirection = "up"\n'
    )
    text = text.replace("[rfm.trouble]\n", '[rfm.trouble]\ndirection = "down"\nflow = "out"\n')
    at_tables = feature_directions(parse_spec(text.replace("spec_version = 1", "spec_version = 2")))
    assert any(at_tables)
    assert feature_directions(parse_spec(dataset.spec_text + BLOCK)) == at_tables, "in a spec of version 1, too"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("attributes.months_employed", "attributes.salary", r"directions\.attributes\.salary: the spec has no table"),
        ("attributes.months_employed", "attributes.loans", "attributes.loans.direction: a list"),
        ("attributes.months_employed", "others.loans", r"directions\.others: unknown key"),
        ('"up"', '"higher"', r"months_employed\.direction: expected up or down"),
        (', flow = "out"', "", r"rfm\.trouble\.flow: missing beside direction"),
        ('"up" }', '"up", flow = "in" }', r"months_employed\.flow: unknown key"),
        ("rfm.trouble = {", "rfm.trouble = 3\nrfm.income = {", "trouble: expected a table"),
    ],
)
def test_a_block_that_says_nothing_is_refused(dataset: Dataset, before: str, after: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(dataset.spec_text + BLOCK.replace(before, after))


def test_a_direction_stands_in_one_place(dataset: Dataset) -> None:
    text = dataset.spec_text.replace("spec_version = 1", "spec_version = 2").replace(
        "[attributes.months_employed]\n", '[attributes.months_employed]\ndirection = "down"\n'
    )
    with pytest.raises(SpecError, match=r"months_employed\.direction: stands in \[attributes\.months_employed\], too"):
        parse_spec(text + BLOCK)


def test_directions_came_with_version_2(dataset: Dataset) -> None:
    if "spec_version = 1" in dataset.spec_text:
        text = dataset.spec_text.replace(
            "[attributes.months_employed]\n", '[attributes.months_employed]\ndirection = "up"\n'
        )
        with pytest.raises(SpecError, match=r"months_employed\.direction: unknown key"):
            parse_spec(text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ModelKind.XGBOOST, ModelKind.DECISION_TREE])
def test_no_model_moves_against_a_direction(kind: ModelKind, dataset: Dataset, contrary: Spec, tmp_path: Path) -> None:
    tables = TrainingData(dataset.applications, dataset.events, dataset.labels)
    trained = train(tables, contrary, kind)
    found = read_bundle(export(trained, tmp_path)).manifest["parity"]["directions"]
    assert found["violations"] == 0
    assert found["comparisons"] > 10_000
    assert set(found["features"]) >= {"annual_income", "trouble_sum_365d"}
    split_on = {int(f) for tree in from_model(trained.model).trees for f in tree.feature[tree.left >= 0]}
    assert any(feature_directions(contrary)[feature] for feature in split_on)


@pytest.mark.slow
def test_the_sweep_sees_a_model_without_directions(dataset: Dataset, bundle: Path, contrary: Spec) -> None:
    read = read_bundle(bundle)
    names = [feature.name for feature in list_features(contrary)]
    model = Model(read.model, len(names), 3)
    proof = Proof(model=model, spec=contrary, policy=read.policy, names=names)
    tables = TrainingData(dataset.applications, dataset.events, dataset.labels)
    plain = train(tables, read.spec, ModelKind.DECISION_TREE)
    with pytest.raises(ExportError, match=r"sweep: the probability of the \w+ class moves against the direction of"):
        sweep(proof, from_model(plain.model), feature_directions(contrary), plain.features.matrix[:200])


def test_the_class_is_left_out_where_costs_do_not_order_it() -> None:
    ordered = Policy(classes=("Poor", "Standard", "Good"), currency="EUR", costs=((0, 2, 5), (2, 0, 1), (6, 1, 0)))
    assert ordered.is_monge()
    odd = replace(ordered, costs=((0, 9, 5), (2, 0, 1), (6, 1, 0)))
    assert not odd.is_monge()
    generator = np.random.default_rng(0)
    worse = generator.dirichlet((1, 1, 1), 5000)
    better, moved = worse.copy(), worse[:, 0] * generator.random(5000)
    better[:, 0] -= moved
    better[:, 2] += moved
    assert (ordered.assign(better.astype(np.float32)) >= ordered.assign(worse.astype(np.float32))).all()


@pytest.mark.slow
def test_directions_are_priced(dataset: Dataset, contrary: Spec) -> None:
    trained = train(
        TrainingData(dataset.applications, dataset.events, dataset.labels), contrary, ModelKind.DECISION_TREE
    )
    prices = trained.evaluation["directions"]
    assert prices["all"]["log_loss"]["low"] <= prices["all"]["log_loss"]["value"] <= prices["all"]["log_loss"]["high"]
    assert {row["name"] for row in prices["each"]} == {*_ATTRIBUTES, *_GROUPS}
    assert prices["all"]["log_loss"]["low"] > 0, "the data says the opposite"
    assert prices["all"]["cost"]["low"] > 0


@pytest.mark.slow
def test_the_command_proposes_directions_with_prices_and_lines_that_the_spec_takes(
    training_folder: Path, dataset: Dataset, credit: Credit
) -> None:
    done = credit("train", training_folder, "--propose-directions", "--model", "decision-tree")
    assert done.returncode == 0, done.stderr
    table, _, pasted = done.stdout.partition("\n# Keep what is common sense")
    assert tomllib.loads(pasted.partition("spec.toml.")[2]).keys() == {"directions"}
    assert "attributes.annual_income" in table
    assert "attributes.occupation" not in done.stdout
    text = dataset.spec_text + pasted.partition("spec.toml.")[2]
    proposed = dict(
        zip([f.name for f in list_features(parse_spec(text))], feature_directions(parse_spec(text)), strict=True)
    )
    assert proposed["annual_income"] == 1
    assert proposed["outstanding_debt"] == proposed["trouble_count_365d"] == -1


def test_without_a_place_for_the_bundle_nothing_is_trained(training_folder: Path, credit: Credit) -> None:
    done = credit("train", training_folder)
    assert done.returncode == 2
    assert "--bundles: missing" in done.stderr

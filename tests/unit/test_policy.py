"""Costs in money: shown, set without training, refused where they make no sense, called out where a class starves."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import SpecError
from features.spec.contract import Floors, Spec
from model_export.new_policy import choose_new_policy, on_histogram
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from scoring.policy import Policy
from scoring.scorer import Scorer
from tests.conftest import Credit
from training.choose_policy import FloorsError
from training.costs_file import with_costs
from training.report.figures.histogram import expand, histogram
from training.report.files import content_of
from training.run import Trained

DEARER = [[0.0, 150.0, 400.0], [200.0, 0.0, 100.0], [4000.0, 900.0, 0.0]]


def matrix(costs: object) -> str:
    return f'currency = "EUR"\nclasses = ["Poor", "Standard", "Good"]\ncosts = {costs}\n'


@pytest.fixture(scope="module")
def changed(
    bundle: Path, credit: Credit, training_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The bundle with dearer false negatives, judged again on the training data, and what the command said."""
    out = tmp_path_factory.mktemp("bundles")
    (out / "costs.toml").write_text(matrix(DEARER))
    done = credit(
        "policy", "set", bundle, "--costs", out / "costs.toml", "--bundles", out / "new", "--data", training_folder
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1]), done.stdout


@pytest.mark.slow
def test_a_new_policy_is_a_new_bundle_with_the_same_model_bytes(
    bundle: Path, changed: tuple[Path, str], dataset: Dataset, trained: Trained
) -> None:
    new, said = changed
    assert new.name != bundle.name
    for name in ("model.onnx", "spec.toml", "explain/shap.npz", "explain/reasons.json"):
        assert (new / name).read_bytes() == (bundle / name).read_bytes()
    scorer, old = Scorer.open(new), Scorer.open(bundle)
    assert scorer.golden.bits
    assert scorer.bundle.manifest["former_bundle"] == bundle.name
    decisions, before = (s.score(dataset.applications, dataset.events).decisions for s in (scorer, old))
    assert decisions["p_good"].equals(before["p_good"])
    policy = Policy(classes=trained.policy.classes, currency="EUR", costs=tuple(map(tuple, DEARER)))
    p = decisions.select("p_poor", "p_standard", "p_good").to_numpy()
    assert decisions["credit_class"].to_list() == [policy.classes[i] for i in policy.assign(p)]
    good = (d["credit_class"] == "Good" for d in (decisions, before))
    assert next(good).sum() > next(good).sum()
    assert "get another class" in said


@pytest.mark.slow
def test_judged_again_the_figures_are_those_of_the_same_held_out_customers(
    changed: tuple[Path, str], trained: Trained
) -> None:
    judged = replace(trained.judged, policy=read_bundle(changed[0]).policy)
    found = json.loads((changed[0] / "manifest.json").read_bytes())["evaluation"]["held_out_customers"]["policy"]
    cost = judged.costs[judged.examples.actual, judged.assigned].mean()
    assert found["applications"] == len(judged.examples)
    assert found["metrics"]["expected_cost"]["value"] == pytest.approx(cost, abs=1e-4)
    assert found["metrics"]["expected_cost"]["low"] is not None


@pytest.mark.slow
def test_without_data_the_histogram_comes_close_and_states_no_interval(
    bundle: Path, changed: tuple[Path, str], credit: Credit, tmp_path: Path
) -> None:
    (tmp_path / "costs.toml").write_text(matrix(DEARER))
    done = credit("policy", "set", bundle, "--costs", tmp_path / "costs.toml", "--bundles", tmp_path)
    assert done.returncode == 0, done.stderr
    new = Path(done.stdout.splitlines()[-1])
    exact, rough = (content_of(read_bundle(path)).metrics for path in (changed[0], new))
    for name in ("expected_cost", "precision_Good", "recall_Good", "false_negative_rate"):
        assert rough[name]["value"] == pytest.approx(exact[name]["value"], rel=0.05, abs=0.01), name
        assert rough[name]["low"] is None
    assert rough["log_loss"]["low"] is not None, "what the policy does not touch keeps its interval"
    page = (new / "report.html").read_text()
    assert "figures under it come from the stored histogram" in page
    assert Scorer.open(new).golden.bits


def test_show_prints_the_costs_and_its_toml_can_be_set_again(bundle: Path, credit: Credit, tmp_path: Path) -> None:
    shown = credit("policy", "show", bundle)
    assert "called Good" in shown.stdout
    assert "1,000.00" in shown.stdout
    assert "false_negative_rate" in shown.stdout
    toml = credit("policy", "show", bundle, "--toml").stdout
    assert tomllib.loads(toml)["classes"] == ["Poor", "Standard", "Good"]
    (tmp_path / "costs.toml").write_text(toml)
    same = credit("policy", "set", bundle, "--costs", tmp_path / "costs.toml", "--bundles", tmp_path)
    assert same.returncode == 2
    assert "nothing to publish" in same.stderr


def table(**rows: dict[str, float]) -> str:
    body = "\n".join(f"{a} = {{ {', '.join(f'{k} = {v}' for k, v in row.items())} }}" for a, row in rows.items())
    return f"[policy.costs]\n{body}\n"


WHOLE: dict[str, dict[str, float]] = {
    "Poor": {"Poor": 0, "Standard": 1, "Good": 2},
    "Standard": {"Poor": 1, "Standard": 0, "Good": 1},
    "Good": {"Poor": 9, "Standard": 1, "Good": 0},
}
WRONG = {
    "two rows": (matrix([[0, 1, 2], [1, 0, 1]]), "costs: expected 3 rows of 3 costs"),
    "a short row": (matrix([[0, 1, 2], [1, 0], [9, 1, 0]]), "costs: expected 3 rows of 3 costs"),
    "no matrix": (matrix(7), "costs: expected 3 rows of 3 costs"),
    "negative": (matrix([[0, 1, 2], [1, 0, -1], [9, 1, 0]]), r"costs \(Standard\): expected costs from 0"),
    "not finite": (matrix([[0, 1, "inf"], [1, 0, 1], [9, 1, 0]]).replace("'inf'", "inf"), "a finite number"),
    "nan": (matrix([[0, 1, "nan"], [1, 0, 1], [9, 1, 0]]).replace("'nan'", "nan"), "a finite number"),
    "text": (matrix([[0, 1, "x"], [1, 0, 1], [9, 1, 0]]), "a finite number"),
    "diagonal above its row": (matrix([[3, 1, 2], [1, 0, 1], [9, 1, 0]]), "must not cost more than another"),
    "other classes": (
        'classes = ["Bad", "Good"]\ncosts = [[0, 1], [1, 0]]\n',
        "classes: expected Poor, Standard, Good",
    ),
    "other currency": (matrix(DEARER).replace("EUR", "USD"), "currency: expected EUR"),
    "a missing cost": (table(**(WHOLE | {"Good": {"Poor": 9.0, "Good": 0.0}})), "policy.costs.Good.Standard: missing"),
    "a missing row": (table(Poor=WHOLE["Poor"], Good=WHOLE["Good"]), "policy.costs.Standard: missing"),
    "a stranger": (table(**WHOLE, Great=WHOLE["Good"]), "policy.costs.Great: unknown key"),
    "negative in the table": (
        table(**(WHOLE | {"Poor": {"Poor": 0.0, "Standard": -1.0, "Good": 2.0}})),
        "expected costs",
    ),
    "no TOML": ("costs = [[", "not valid TOML"),
    "nothing": ("", "costs: expected 3 rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_costs_that_make_no_sense_are_refused_by_key(name: str, spec: Spec, tmp_path: Path) -> None:
    content, message = WRONG[name]
    (tmp_path / "costs.toml").write_text(content)
    with pytest.raises(SpecError, match=message) as found:
        with_costs(spec, tmp_path / "costs.toml")
    assert str(tmp_path / "costs.toml") in str(found.value)


def test_the_command_refuses_a_wrong_matrix_and_writes_nothing(bundle: Path, credit: Credit, tmp_path: Path) -> None:
    (tmp_path / "costs.toml").write_text(WRONG["diagonal above its row"][0])
    done = credit("policy", "set", bundle, "--costs", tmp_path / "costs.toml", "--bundles", tmp_path / "new")
    assert done.returncode == 2
    assert "must not cost more" in done.stderr
    assert not (tmp_path / "new").exists()


def test_both_forms_of_a_costs_file_mean_the_same(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "table.toml").write_text(table(**WHOLE))
    (tmp_path / "matrix.toml").write_text(matrix([list(row.values()) for row in WHOLE.values()]))
    one, other = (with_costs(spec, tmp_path / f"{name}.toml") for name in ("table", "matrix"))
    assert one.costs == other.costs == tuple(tuple(map(float, row.values())) for row in WHOLE.values())
    (tmp_path / "floors.toml").write_text(table(**WHOLE) + "[policy.floors]\nprecision = 0.7\n")
    assert with_costs(spec, tmp_path / "floors.toml").floors == Floors(precision=0.7, recall=None)


def test_floors_bind_when_a_policy_is_set(bundle: Path, spec: Spec) -> None:
    old = read_bundle(bundle)
    free = choose_new_policy(old, spec)
    bound = choose_new_policy(old, replace(spec, floors=Floors(precision=0.7, recall=None)))
    assert free.multiplier == 1 < bound.multiplier
    judged = on_histogram(old, bound)
    assert 0 < (judged.assigned == 2).mean() < (on_histogram(old, free).assigned == 2).mean()
    with pytest.raises(FloorsError, match=r"Missed: precision 0\.999"):
        choose_new_policy(old, replace(spec, floors=Floors(precision=0.999, recall=0.9)))


@pytest.mark.slow
def test_a_class_that_is_never_assigned_is_called_out(bundle: Path, credit: Credit, tmp_path: Path) -> None:
    starving = [[0.0, 400.0, 400.0], [1.0, 1.0, 1.0], [1000.0, 1000.0, 0.0]]
    (tmp_path / "costs.toml").write_text(matrix(starving))
    done = credit("policy", "set", bundle, "--costs", tmp_path / "costs.toml", "--bundles", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: the policy never assigns Standard" in done.stderr
    new = Path(done.stdout.splitlines()[-1])
    assert "The policy never assigns Standard" in (new / "report.html").read_text()
    assert "never assigns Standard" in (new / "model_card.md").read_text()
    assert "never assigns Standard" in credit("policy", "show", new).stderr
    decisions = Scorer.open(new).bundle.golden["decision"].struct.field("credit_class")
    assert set(decisions) <= {"Poor", "Good"}


def test_the_histogram_keeps_counts_and_means(trained: Trained) -> None:
    judged = trained.judged
    probabilities, actual, _ = expand(histogram(judged.probabilities, judged.examples.actual))
    assert np.bincount(actual).tolist() == np.bincount(judged.examples.actual).tolist()
    assert np.allclose(probabilities.mean(axis=0), judged.probabilities.mean(axis=0), atol=1e-4)
    assert pl.DataFrame(probabilities).n_unique() < len(actual)

"""What is said of a model holds for its origin and its data: the manifest's evaluation, as a record and in words."""

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost

from features.errors import BundleError
from features.matrix import list_features
from metrics import Evaluation, Origin, Outcome, Protocol, against, column_tells, evaluate, sentences
from model_export.new_policy import on_histogram, publish_policy
from scoring.bundle.folder import read_bundle, sha256
from tests.conftest import PROJECT, Credit
from training.evaluate.fairness import NOT_STATED, fairness, read_groups
from training.evaluate.judged import evaluate_judged
from training.report.content import verdict
from training.report.figures.leaks import leaks
from training.report.figures.trade_off import trade_off
from training.report.files import content_of
from training.report.page import render
from training.run import Trained

CLASSES = ("Poor", "Good")
PRICES = np.array([[0.0, 100.0], [30.0, 0.0]])


def outcome(assigned: list[int], actual: list[int], p_good: list[float], costs: Any = PRICES) -> Outcome:
    good = np.array(p_good)
    return Outcome(
        classes=CLASSES,
        actual=np.array(actual),
        assigned=np.array(assigned),
        probabilities=np.stack([1 - good, good], axis=1),
        customers=np.arange(len(actual)),
        costs=costs,
    )


def said(o: Outcome, currency: str | None = "EUR") -> str:
    return " ".join(sentences({**evaluate(o), "against": against(o)}, o.classes, currency))


@pytest.fixture(scope="module")
def adopted(trained: Trained, training_folder: Path, credit: Credit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook's model of depth 4, as `credit export` publishes it."""
    folder, rows = tmp_path_factory.mktemp("adopted"), trained.split.train
    names = [feature.name for feature in list_features(trained.spec)]
    data = xgboost.DMatrix(rows.matrix, label=rows.actual, feature_names=names)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 4}, data, num_boost_round=10)
    booster.save_model(folder / "model.json")
    inputs = ("--spec", training_folder / "spec.toml", "--calibration", training_folder)
    done = credit("export", "--model", folder / "model.json", *inputs, "--bundles", folder)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_card_of_an_adopted_model_says_only_what_is_known_of_it(adopted: Path, bundle: Path) -> None:
    manifest = json.loads((adopted / "manifest.json").read_bytes())
    assert manifest["evaluation"]["origin"] == "adopted"
    assert read_bundle(adopted).evaluation.origin is Origin.ADOPTED
    for name in ("model_card.md", "report.html"):
        text = (adopted / name).read_text()
        assert "trained elsewhere" in text
        for untrue in ("never saw", "depth 6", "docs/model.md", "of the same recipe", "--trials"):
            assert untrue not in text, f"{name} of an adopted model says {untrue!r}"
    assert f"depth {manifest['model']['depth']} at most" in (adopted / "model_card.md").read_text()
    own = (bundle / "model_card.md").read_text()
    assert "trained elsewhere" not in own
    assert "the published model was then fitted on all customers and was itself judged on none" in own


def test_an_evaluation_is_frozen_and_reads_every_format(bundle: Path) -> None:
    now = read_bundle(bundle).evaluation
    assert (now.origin, now.protocol, now.folds) == (Origin.TRAINED_HERE, Protocol.CROSS_FITTED, 5)
    with pytest.raises(FrozenInstanceError):
        now.seed = 1  # type: ignore[misc]
    (folder,) = (PROJECT / "tests/formats/2/bundles").iterdir()
    old = read_bundle(folder)
    assert (old.evaluation.origin, old.evaluation.protocol) == (Origin.TRAINED_HERE, Protocol.SPLIT)
    assert "a fifth of the customers" in render(content_of(old))
    said_of_it = " ".join(old.evaluation.sentences(old.spec.classes, "EUR"))
    assert "7.64 EUR an application dearer than taking the most probable class; how certain" in said_of_it
    facts = json.loads((folder / "manifest.json").read_bytes())["evaluation"]
    halves = {**facts, "rows": {"calibration": 1, "test": 1}}
    assert Evaluation.of_facts(halves).origin is Origin.ADOPTED


@pytest.mark.parametrize("lost", ["evaluation", "held_out_customers", "policy", "metrics", "rows"])
def test_a_manifest_without_its_evaluation_is_a_bundle_error(lost: str, bundle: Path, tmp_path: Path) -> None:
    def without(value: Any) -> Any:
        return {k: without(v) for k, v in value.items() if k != lost} if isinstance(value, dict) else value

    manifest = json.loads((bundle / "manifest.json").read_bytes())
    own = without(manifest["evaluation"])
    content = json.dumps({**manifest, "evaluation": own} if lost != "evaluation" else without(manifest)).encode()
    folder = tmp_path / sha256(content)
    for path in bundle.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            (folder / path.relative_to(bundle)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(bundle)).write_bytes(path.read_bytes())
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match="no complete evaluation"):
        read_bundle(folder)


def test_a_policy_that_loses_to_approving_everybody_is_told_so() -> None:
    actual = [1] * 180 + [0] * 20
    refuses = outcome([0, 0, 1, 1] * 50, actual, [0.9] * 180 + [0.8] * 20)
    text = said(refuses)
    assert "The policy is worse than approving everybody" in text
    assert "dearer" in text
    assert "Only 20 of 200 judged applications are Poor: the sample is too small" in text
    assert "errors in a hundred more" in said(outcome([0, 0, 1, 1] * 50, actual, [0.9] * 200, None), None)


@pytest.mark.slow
def test_a_policy_set_without_data_states_no_certainty(bundle: Path) -> None:
    spec, old = read_bundle(bundle).spec, read_bundle(bundle)
    dearer = tuple(tuple(2 * cost if i == 0 else cost for cost in row) for i, row in enumerate(spec.costs))
    judged = on_histogram(old, replace(old.policy, costs=dearer))
    assert against(judged.outcome(judged.assigned, judged.probabilities))["argmax"]["low"] is not None
    new = publish_policy(old, replace(old.policy, costs=dearer), bundle.parent, None)
    found = read_bundle(new).evaluation
    assert found.policy["against"]["argmax"]["low"] is None
    assert "how certain that is was not kept" in " ".join(found.sentences(spec.classes, "EUR"))


def test_a_policy_that_refuses_nobody_or_everybody_is_told_so() -> None:
    actual = [1, 0] * 200
    assert "refuses nobody" in said(outcome([1] * 400, actual, [0.9, 0.1] * 200))
    assert "decides exactly as approving everybody would" in said(outcome([1] * 400, actual, [0.9, 0.1] * 200))
    assert "refuses everybody" in said(outcome([0] * 400, actual, [0.9, 0.1] * 200))
    good = said(outcome(actual, actual, [0.9, 0.1] * 200))
    assert "AUC 1.000" in good
    assert "The policy is better: 50.00 EUR" in good
    assert "an application cheaper than approving everybody" in good
    assert "refuses nobody" not in good
    assert "all, or none, Good" in said(outcome([1] * 60, [1] * 60, [0.9] * 60))


def test_no_hit_is_not_a_rate_of_exactly_nought_and_a_figure_has_one_interval(trained: Trained) -> None:
    actual = [1] * 60 + [0] * 60
    found = evaluate(outcome([1] * 60 + [0] * 60, actual, [0.9] * 60 + [0.1] * 60))["metrics"]
    assert found["false_negative_rate"]["value"] == 0
    assert 0.04 < found["false_negative_rate"]["high"] < 0.1
    everybody = evaluate(outcome([1] * 120, actual, [0.9] * 120))["metrics"]["false_negative_rate"]
    assert (everybody["low"], everybody["high"]) == (0, 0), "certain by construction"
    points, judged = trade_off(trained.judged)["points"], evaluate_judged(trained.judged)
    for name in ("policy", "argmax"):
        for point, metric in (("precision", "precision_Good"), ("expected_cost", "expected_cost")):
            assert points[name][point] == judged[name]["metrics"][metric]


def test_a_column_that_tells_the_class_is_named(trained: Trained) -> None:
    split, judged = trained.split, trained.judged
    matrix = judged.examples.matrix.copy()
    matrix[:, 0] = np.where(judged.examples.actual == 1, 7, np.random.default_rng(0).permutation(len(matrix)) % 5)
    told = leaks(split, replace(judged, examples=replace(judged.examples, matrix=matrix)), judged.probabilities)
    assert [row["column"] for row in told["telling"]] == ["months_employed"], "no rank tells it, but the values do"
    assert "months_employed alone tells the class" in next(column_tells(told["telling"]))
    assert leaks(split, judged, judged.probabilities)["telling"] == []


@pytest.mark.slow
def test_train_and_the_top_of_the_report_say_the_same(training_folder: Path, credit: Credit, tmp_path: Path) -> None:
    done = credit("train", training_folder, "--bundles", tmp_path, "--model", "decision-tree")
    bundle = Path(done.stdout.splitlines()[-1])
    texts = verdict(content_of(read_bundle(bundle)))
    assert len(texts) >= 3
    assert done.stdout.splitlines()[-1 - len(texts) : -1] == texts
    assert all(text in (bundle / "report.html").read_text() for text in texts)
    shown = credit("bundle", "show", bundle).stdout
    assert "judged on none" in " ".join(shown.split())


def test_blank_groups_are_not_stated_and_never_the_least_ratio(trained: Trained) -> None:
    judged = trained.judged
    ids = pl.Series("application_id", [str(i) for i in range(len(judged.examples))])
    blank = judged.assigned == 0  # all who are refused: as a group its ratio would be nought
    number = np.arange(len(ids))
    names = np.where(blank, np.array([" ", "", "\t"])[number % 3], np.array(["a", "b"])[number % 2])
    groups = read_groups(pl.DataFrame({"application_id": ids, "group": names}), pl.DataFrame({"application_id": ids}))
    found = fairness(judged, ids, groups)
    assert found["without_group"] == blank.sum()
    assert [row["group"] for row in found["groups"]] == ["a", "b", NOT_STATED]
    assert "not_refused_ratio" not in found["groups"][-1]
    assert found["least_ratios"]["not_refused"]["value"] == 1

"""The report's figures against counts by hand, scikit-learn and simulation; leaks that were planted are found."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from features.matrix import list_features
from metrics import mean, share
from scoring.scorer import Scorer
from training.data import Split
from training.evaluate.judged import Judged, evaluate_judged
from training.report.figures.curves import by_threshold, calibration, scores
from training.report.figures.importance import importance
from training.report.figures.leaks import leaks
from training.report.figures.slices import figures_of, months, slices
from training.report.figures.trade_off import trade_off
from training.run import Trained


@pytest.fixture(scope="module")
def judged(trained: Trained) -> Judged:
    """The training side: more rows, and what is tested are sums."""
    split = trained.split
    margins = trained.model.margins(split.train.matrix)
    probabilities = trained.calibration.probabilities(margins).astype(np.float32)
    return replace(trained.judged, examples=split.train, probabilities=probabilities)


def test_precision_and_recall_by_threshold_equal_scikit_learn(judged: Judged) -> None:
    found = by_threshold(judged)
    for i, name in enumerate(judged.spec.classes):
        for t in (10, 30, 50, 70):
            called = judged.probabilities[:, i].astype(np.float64) >= found[name]["threshold"][t]
            is_class = judged.examples.actual == i
            assert found[name]["precision"][t] == pytest.approx(reference.precision_score(is_class, called), abs=1e-5)
            assert found[name]["recall"][t] == pytest.approx(reference.recall_score(is_class, called), abs=1e-5)
        assert found[name]["recall"][0] == 1


def test_the_trade_off_names_the_policy_its_alternatives_and_their_costs(judged: Judged) -> None:
    found = trade_off(judged)
    actual, costs = judged.examples.actual, judged.costs
    doubled = costs.copy()
    doubled[2, :2] *= 2
    wanted = {
        "policy": judged.assigned,
        "argmax": judged.probabilities.argmax(axis=1),
        "lost_good_applicants_cost_double": (judged.probabilities.astype(np.float64) @ doubled).argmin(axis=1),
    }
    for name, assigned in wanted.items():
        point = found["points"][name]
        assert point["precision"]["value"] == pytest.approx((actual[assigned == 2] == 2).mean(), abs=1e-6)
        assert point["false_negative_rate"]["value"] == pytest.approx((assigned[actual == 2] == 0).mean(), abs=1e-6)
        assert point["expected_cost"]["value"] == pytest.approx(costs[actual, assigned].mean(), abs=1e-4)
        assert point["precision"]["low"] < point["precision"]["value"] < point["precision"]["high"]
    at_one = next(p for p in found["curve"] if p["multiple"] == 1)
    assert at_one["expected_cost"] == found["points"]["policy"]["expected_cost"]
    recalls = [p["recall"]["value"] for p in found["curve"]]
    assert recalls == sorted(recalls, reverse=True), "dearer approvals, fewer of them"
    same = found["points"].get("policy_at_the_precision_of_argmax")
    if same is not None:
        assert same["precision"]["value"] >= found["points"]["argmax"]["precision"]["value"]


def test_bootstrap_and_formula_agree_on_intervals(judged: Judged) -> None:
    by_formula = figures_of(judged, np.ones(len(judged.examples), dtype=bool))
    by_bootstrap = trade_off(judged)["points"]["policy"]
    for name in ("precision", "expected_cost"):
        one, other = by_formula[name], by_bootstrap[name]
        assert one["value"] == pytest.approx(other["value"], abs=1e-4)
        assert one["high"] - one["low"] == pytest.approx(other["high"] - other["low"], rel=0.15)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator, inside_share, inside_mean = np.random.default_rng(0), 0, 0
    for _ in range(400):
        customers = np.repeat(np.arange(150), 4)  # rows of one customer are alike
        chance = np.repeat(generator.beta(2, 6, 150), 4)
        hits = generator.random(600) < chance
        found = share(hits, np.ones(600, dtype=bool), customers)
        money = mean(np.where(hits, 100.0, 0.0), customers)
        inside_share += found["low"] <= 0.25 <= found["high"]  # type: ignore[operator]
        inside_mean += money["low"] <= 25 <= money["high"]  # type: ignore[operator]
    assert 0.92 < inside_share / 400 < 0.98
    assert 0.92 < inside_mean / 400 < 0.98
    nothing = share(np.zeros(50, dtype=bool), np.ones(50, dtype=bool), np.arange(50))
    assert nothing["low"] == 0
    assert 0.05 < float(nothing["high"] or 0) < 0.1, "no hit in fifty is not a rate of exactly nought"


def test_calibration_bins_and_scores_add_up(judged: Judged) -> None:
    for i, (name, bins) in enumerate(calibration(judged).items()):
        assert name == judged.spec.classes[i]
        p, is_class = judged.probabilities[:, i], judged.examples.actual == i
        by_hand = [(p > b / 15) & (p <= (b + 1) / 15) for b in range(15)]
        wanted = [is_class[inside].mean() for inside in by_hand if inside.sum() >= 20]
        assert [b["actual"]["value"] for b in bins] == pytest.approx(wanted, abs=1e-6)
    assert all(sum(shares) == pytest.approx(1, abs=1e-3) for shares in scores(judged)["shares"].values())


def test_slices_cover_every_application_once_per_attribute_and_small_ones_are_kept_back(judged: Judged) -> None:
    found = slices(judged, ["months_employed", "income_mean_365d"])
    total = len(judged.examples)
    for feature in ("months_employed", "income_mean_365d"):
        assert sum(row["n"] for row in found if row["feature"] == feature) == total
    kept = [row for row in found if row["customers"] < 50]
    assert all("suppressed" in row and "precision" not in row for row in kept)
    assert {row["feature"] for row in found} >= {"occupation", "credit_mix"}
    by_month = months(judged)
    assert sum(row["n"] for row in by_month) == total
    assert [row["month"] for row in by_month] == sorted(row["month"] for row in by_month)


def test_a_slice_that_loses_good_applicants_is_flagged(judged: Judged) -> None:
    features = [feature.name for feature in list_features(judged.spec)]
    mix = judged.examples.matrix[:, features.index("credit_mix")]
    doomed = judged.probabilities.copy()
    doomed[mix == 1] = (1, 0, 0)
    found = slices(replace(judged, probabilities=doomed), [])
    assert [row["values"] for row in found if row.get("flagged")] == ["Standard"]


def test_importance_is_the_mean_absolute_contribution(judged: Judged, scorer: Scorer) -> None:
    tables = scorer.bundle.explainer.tables
    found = importance(judged, tables)
    strength = np.abs(tables.against(judged.examples.matrix, 0)).mean(axis=1)
    features = [feature.name for feature in list_features(judged.spec)]
    assert found["features"][0]["feature"] == features[int(strength.argmax())]
    assert found["features"][0]["mean_absolute"] == pytest.approx(strength.max(), abs=1e-6)
    course = found["dependence"][0]["bins"]
    assert sum(b["n"] for b in course) == len(judged.examples)
    assert course[0]["mean"] > 0 > course[-2]["mean"], "more income speaks for the applicant"


def test_planted_leaks_are_found(judged: Judged, trained: Trained) -> None:
    split = trained.split
    honest = leaks(split, trained.judged, judged.probabilities, trained.fold_of)
    assert set(honest["shared_customers"].values()) == {0}
    assert honest["single_features"][0]["auc"] < honest["suspicious_from"]
    matrix = judged.examples.matrix.copy()
    matrix[:, 0] = np.where(judged.examples.actual == 2, 1, np.nan)
    told = leaks(split, replace(judged, examples=replace(judged.examples, matrix=matrix)), judged.probabilities)
    assert told["single_features"][0] == {"auc": 1.0, "feature": "months_employed", "class": "Good"}
    doubled = leaks(Split(split.train, split.calibration, split.train), judged, judged.probabilities)
    assert doubled["shared_customers"]["learned and judged"] == len(np.unique(split.train.customers))
    assert doubled["test_rows_equal_to_a_training_row"] == len(split.train)
    scattered = leaks(split, judged, judged.probabilities, np.arange(len(split.train)))
    assert scattered["shared_customers"]["two folds"] == len(split.train) - len(np.unique(split.train.customers))


def test_the_best_reachable_is_judged_where_the_truth_is_known(judged: Judged) -> None:
    assert "best_reachable" not in evaluate_judged(judged)
    truth = np.eye(3, dtype=np.float32)[judged.examples.actual]
    found = evaluate_judged(replace(judged, examples=replace(judged.examples, truth=truth)))
    assert found["best_reachable"]["metrics"]["expected_cost"]["value"] == 0
    assert found["best_reachable"]["metrics"]["accuracy"]["value"] == 1

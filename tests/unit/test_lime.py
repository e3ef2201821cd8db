"""LIME beside SHAP: seeded, honest about its spread, and no part of serving."""

import sys
from pathlib import Path

import numpy as np
import pytest

from features.errors import SettingsError
from recipes.dataset import Dataset
from scoring.explanation import Explanation, explain_application
from scoring.scorer import Scorer
from tests.conftest import Credit
from training.evaluate.local_lime import REPEATS, TOP, compare_with_lime
from training.report.figures.background import draw
from training.report.files import content_of
from training.run import Trained


@pytest.fixture(scope="module")
def explanation(scorer: Scorer, dataset: Dataset) -> Explanation:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    surest = decisions.sort("p_poor").tail(1)["application_id"].item()
    return explain_application(scorer, dataset.applications, dataset.events, surest)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_comparison_and_another_seed_moves_lime_alone(
    scorer: Scorer, explanation: Explanation
) -> None:
    one, again, other = (compare_with_lime(scorer.bundle, explanation, seed) for seed in (0, 0, 100))
    assert one == again
    assert one.features != other.features
    shap = {record["feature"]: record["contribution"] for record in explanation.features}
    assert all(record["shap"] == shap[record["feature"]] for found in (one, other) for record in found.features)
    assert [record["feature"] for record in one.features[:TOP]] == [r["feature"] for r in explanation.features[:TOP]]
    assert 0 < one.agreement <= 1
    assert all(record["deviation"] > 0 and 0 <= record["in_top"] <= REPEATS for record in one.features)
    assert "Notices use SHAP" in one.sentence()


def test_both_methods_see_the_same_direction_where_a_feature_matters_much(
    scorer: Scorer, explanation: Explanation
) -> None:
    strongest = compare_with_lime(scorer.bundle, explanation).features[0]
    assert strongest["shap"] > 0
    assert strongest["lime"] > 2 * strongest["deviation"]


def test_neighbours_are_drawn_from_quantiles_and_keep_the_share_of_missing_values(
    scorer: Scorer, trained: Trained
) -> None:
    stored = content_of(scorer.bundle).figures["background"]
    calibrating = trained.split.calibration.matrix
    names = list(scorer.bundle.manifest["model"]["features"])
    drawn = draw(stored, names, 4000, seed=0)
    assert np.allclose(np.isnan(drawn).mean(axis=0), np.isnan(calibrating).mean(axis=0), atol=0.03)
    income = names.index("annual_income")
    assert np.nanmax(drawn[:, income]) < np.nanmax(calibrating[:, income]), "the richest is not in the bundle"
    assert np.nanmedian(drawn[:, income]) == pytest.approx(np.nanmedian(calibrating[:, income]), rel=0.1)


def test_without_the_library_the_extra_is_named(
    scorer: Scorer, explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lime.lime_tabular", None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[train,lime\]'"):
        compare_with_lime(scorer.bundle, explanation)


@pytest.mark.slow
def test_the_command_shows_it(bundle: Path, credit: Credit, dataset: Dataset, tonight: Path) -> None:
    arguments = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
    chosen = ("--application-id", dataset.applications["application_id"][1], "--lime")
    done = credit("explain", "--bundle", bundle, *arguments, *chosen)
    assert done.returncode == 0, done.stderr
    assert f"LIME beside SHAP, log-odds, {REPEATS} seeds" in done.stdout
    assert "Notices use SHAP" in done.stdout

"""Model files as an attacker, or a careless hand, leaves them: each is refused by an error that says what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.ensemble import RandomForestClassifier

from features.errors import ExportError, InputError
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.trees.load import load_model

TEXT = """
spec_version = 2
name = "attacked"
classes = ["Bad", "Good"]
currency = { code = "EUR", minor_digits = 2 }
score = { base_score = 600, base_odds = 2, points_to_double_odds = 50 }
[attributes.a]
kind = "number"
[attributes.b]
kind = "number"
[policy.costs]
Bad = { Bad = 0, Good = 4 }
Good = { Bad = 3, Good = 0 }
[reasons.ALL]
of = ["a", "b"]
high = "high"
low = "low"
missing = "missing"
"""


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse_spec(TEXT)


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    data = xgboost.DMatrix(x, x[:, 0] > 0)
    return xgboost.train({"objective": "binary:logistic", "nthread": 1, "max_depth": 2, "base_score": 0.9}, data, 5)


def _with_base(booster: xgboost.Booster, base: str, path: Path) -> Path:
    content = json.loads(bytes(booster.save_raw("json")))
    content["learner"]["learner_model_param"]["base_score"] = base
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("base", ["[9E-1,1E-1]", "[2E0]", "[-1E0]", "nan", "[]", "high", "[0E0]", "[1E0]"])
def test_a_base_score_that_is_none_is_refused(base: str, booster: xgboost.Booster, spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.json: (XGBoost cannot load it|base_score is 0 or 1)"):
        load_model(_with_base(booster, base, tmp_path / "m.json"), spec)


@pytest.mark.parametrize("base", ["5E-1", "[9.999E-1]", "[1E-4]"])
def test_base_scores_of_older_and_steep_models_are_taken(
    base: str, booster: xgboost.Booster, spec: Spec, tmp_path: Path
) -> None:
    assert load_model(_with_base(booster, base, tmp_path / "m.json"), spec).facts["rounds_used"] == 5


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("mark", ["", "abc", "-1", "5", "1.5", "1e0", "²"])
def test_a_mark_of_early_stopping_that_is_no_round_is_refused(
    mark: str, suffix: str, booster: xgboost.Booster, spec: Spec, tmp_path: Path
) -> None:
    marked = booster.copy()
    marked.set_attr(best_iteration=mark)
    marked.save_model(tmp_path / f"m.{suffix}")
    with pytest.raises(InputError, match="best_iteration is no round of the model, which has 5"):
        load_model(tmp_path / f"m.{suffix}", spec)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_early_stopping_is_honoured_in_both_forms(
    suffix: str, booster: xgboost.Booster, spec: Spec, tmp_path: Path
) -> None:
    marked = booster.copy()
    marked.set_attr(best_iteration="1")
    marked.save_model(tmp_path / f"m.{suffix}")
    loaded = load_model(tmp_path / f"m.{suffix}", spec)
    assert loaded.facts == {"rounds_in_file": 5, "rounds_used": 2, "early_stopping": True}
    assert loaded.whole is not None
    rows = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    first = booster[:2].predict(xgboost.DMatrix(rows), output_margin=True)
    margins = loaded.model.margins(rows)
    assert margins[:, -1] - margins[:, 0] == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize(
    "objective", ["binary:logitraw", "binary:hinge", "reg:logistic", "rank:pairwise", "count:poisson"]
)
def test_other_objectives_are_refused_by_name(objective: str, spec: Spec, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    model = xgboost.train({"objective": objective, "nthread": 1}, xgboost.DMatrix(x, x[:, 0] > 0), 2)
    model.save_model(tmp_path / "m.ubj")
    with pytest.raises(ExportError, match=f"objective is {objective}, expected multi:softprob or binary:logistic"):
        load_model(tmp_path / "m.ubj", spec)


def test_a_forest_that_was_never_fitted_is_refused(spec: Spec, tmp_path: Path) -> None:
    skops.io.dump(RandomForestClassifier(), tmp_path / "m.skops")
    with pytest.raises(InputError, match="the RandomForestClassifier was never fitted"):
        load_model(tmp_path / "m.skops", spec)

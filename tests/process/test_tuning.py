"""The search for parameters: seeded, pruned, resumable, bound by floors, honest about its noise."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import polars as pl
import pytest
from optuna.trial import FrozenTrial, TrialState

from features.errors import InputError
from features.spec.contract import Floors, Spec
from recipes.dataset import Dataset
from tests.conftest import Credit
from training.choose_policy import FloorsError
from training.data import Examples, TrainingData, label_examples
from training.fit.cross_fit import fold_margins, out_of_fold
from training.fit.fit import ModelKind
from training.fit.recipe import TREE as TREE_PARAMETERS
from training.fit.recipe import EnsemblePlan, Plan, shape
from training.report.sections.sections_model import gains
from training.run import RunOptions, train
from training.search.search_space import SPACES, changed, default_of, serving_cost
from training.search.tune import Ground, Search, tune
from training.search.tuned import Tuned, choose

TREE = ModelKind.DECISION_TREE
TRIALS = 14
PLAN = Plan(kind=TREE, folds=5, seed=0, ensembles=(EnsemblePlan(shape="tree", parameters=TREE_PARAMETERS),) * 2)


@pytest.fixture(scope="module")
def examples(dataset: Dataset, spec: Spec) -> Examples:
    return label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)[0]


@pytest.fixture(scope="module")
def ground(examples: Examples, spec: Spec) -> Ground:
    return Ground(examples=examples, spec=spec, plan=PLAN)


@pytest.fixture(scope="module")
def found(ground: Ground) -> Tuned:
    return tune(ground, Search(trials=TRIALS))


class StoppedError(Exception):
    """What stands for kill -9 in the middle of a trial."""


@pytest.mark.slow
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    ground: Ground, found: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "study.jsonl", 0

    def stops_in_the_fourth_trial(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 17:
            raise StoppedError
        return fold_margins(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("training.search.tune.fold_margins", stops_in_the_fourth_trial)
    with pytest.raises(StoppedError):
        tune(ground, Search(trials=TRIALS, study=path))
    with path.open("a") as file:
        file.write('{"op_code": 5, "tri')  # the line that was being written
    seen: list[int] = []
    search = Search(trials=TRIALS, study=path, tell=lambda finished, _best: seen.append(finished))
    again = tune(ground, search)
    assert seen == list(range(3, TRIALS + 1)), "finished trials are not run again"
    assert again.trials.equals(found.trials)
    assert again.summary == found.summary


def test_a_study_of_another_task_in_the_same_file_is_not_taken(ground: Ground, tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    tune(ground, Search(trials=1, study=path))
    told: list[int] = []
    search = Search(trials=1, study=path, tell=lambda finished, _best: told.append(finished))
    tune(replace(ground, plan=replace(PLAN, seed=1)), search)
    tune(replace(ground, spec=replace(ground.spec, floors=Floors(precision=0.1, recall=None))), search)
    assert told == [0, 1, 0, 1]


def test_the_default_comes_first_and_hopeless_candidates_are_cut_short(found: Tuned) -> None:
    first = found.trials.row(0, named=True)
    assert {name: first[name] for name in SPACES[TREE]} == default_of(TREE)
    assert changed(PLAN, default_of(TREE), 0) == PLAN
    states = found.trials["state"].to_list()
    assert states.count("pruned") > 0
    assert states.count("pruned") == found.summary["pruned"]
    cut = found.trials.filter(pl.col("state") == "pruned")
    assert cut["cost_fold_5"].null_count() == cut.height
    whole = found.trials.filter(pl.col("state") == "complete")
    mean = whole.select(pl.mean_horizontal(pl.col("^cost_fold_.*$"))).to_series()
    assert np.allclose(mean, whole["cost"])
    assert found.summary["cost"] <= first["cost"]


def test_the_best_so_far_is_told(ground: Ground, found: Tuned) -> None:
    told: list[float | None] = []
    tune(ground, Search(trials=3, tell=lambda _, best: told.append(best)))
    costs = [np.inf if cost is None else cost for cost in found.trials["cost"].head(3)]
    assert told == [None, costs[0], min(costs[:2]), min(costs)]


def trial(costs: list[float], deeper: int = 0, floors: list[float] | None = None, loss: float = 0.5) -> FrozenTrial:
    attributes = {"folds": costs, "losses": [loss] * 5} | ({"floors": floors} if floors else {})
    return optuna.trial.create_trial(
        params={"max_depth": deeper, "min_samples_leaf": 1.0},
        distributions=dict(SPACES[TREE]),
        value=None if floors else float(np.mean(costs)),
        state=TrialState.PRUNED if floors else TrialState.COMPLETE,
        user_attrs=attributes,
    )


DEFAULT = trial([10.0, 11.0, 12.0, 13.0, 14.0])


def test_a_gain_inside_the_noise_is_called_that(spec: Spec) -> None:
    noisy = choose([DEFAULT, trial([9.0, 12.0, 11.0, 14.5, 12.0], -3)], PLAN, spec).summary["default"]
    assert noisy["gain"] > 0
    assert noisy["inside_the_noise"]
    clear = choose([DEFAULT, trial([9.0, 10.1, 11.0, 11.9, 13.0])], PLAN, spec).summary["default"]
    assert not clear["inside_the_noise"]
    assert clear["low"] > 0


def test_what_is_said_of_a_gain(spec: Spec) -> None:
    def said(candidate: FrozenTrial) -> str:
        return " ".join(gains({**choose([DEFAULT, candidate], PLAN, spec).summary}, "EUR"))

    assert "the recipe was kept" in said(trial([11.0, 12.0, 13.0, 14.0, 15.0])).lower()
    assert said(trial([9.0, 12.0, 11.0, 14.5, 12.0], -3)).endswith("inside the noise.")
    assert said(trial([9.0, 10.1, 11.0, 11.9, 13.0])).endswith("more than noise.")


def test_ties_go_to_the_candidate_that_is_cheapest_to_serve(spec: Spec) -> None:
    best = trial([9.0, 10.0, 11.0, 12.0, 13.0])
    tie = trial([9.1, 9.9, 11.2, 11.9, 13.0], -3)
    worse = trial([9.5, 10.5, 11.5, 12.5, 13.5], -4)
    won = choose([DEFAULT, best, tie, worse], PLAN, spec)
    assert won.summary["winner"] == 2
    assert won.summary["serving_cost"] == serving_cost(changed(PLAN, tie.params, 2)) == 2 * 3
    dearer_than_the_default = trial([10.9, 11.9, 12.0, 12.0, 14.0], -4)
    assert choose([DEFAULT, dearer_than_the_default], PLAN, spec).summary["winner"] == 0
    grown = EnsemblePlan(shape="M", parameters={**shape("M", 300, 100), "rounds": 90})
    assert serving_cost(Plan(kind=ModelKind.XGBOOST, folds=5, seed=0, ensembles=(grown, grown))) == 180 * 6
    behind = EnsemblePlan(shape="R", parameters={"rounds": 40, "max_depth": 3, "ridge": 3, "linear_features": 12})
    assert serving_cost(Plan(kind=ModelKind.XGBOOST, folds=5, seed=0, ensembles=(behind,))) == 40 * 3 + 12 * 5


def test_a_cheaper_candidate_of_a_higher_log_loss_does_not_win(spec: Spec) -> None:
    lucky = trial([1.0, 1.0, 1.0, 1.0, 1.0], loss=0.51)
    assert choose([DEFAULT, lucky], PLAN, spec).summary["winner"] == 0


@pytest.mark.slow
def test_a_winner_that_is_worse_on_other_folds_is_not_taken(
    dataset: Dataset, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noise(*arguments: object) -> object:
        return np.random.default_rng(0).normal(size=out_of_fold(*arguments).shape)  # type: ignore[arg-type]

    stump = EnsemblePlan(shape="tree, candidate 1", parameters={**TREE_PARAMETERS, "max_depth": 2})
    winner = Tuned(plan=replace(PLAN, ensembles=(stump, stump)), trials=pl.DataFrame(), summary={"winner": 1})
    monkeypatch.setattr("training.run.tune", lambda *_: winner)
    tables = TrainingData(dataset.applications, dataset.events, dataset.labels)
    kept = train(tables, spec, TREE, RunOptions(search=Search(trials=1)))
    taken = kept.plan
    monkeypatch.setattr("training.run.out_of_fold", noise)
    fell = train(tables, spec, TREE, RunOptions(search=Search(trials=1)))
    assert taken == winner.plan
    assert not kept.evaluation["tuning"]["fell_back"]
    assert fell.plan == PLAN
    assert fell.evaluation["tuning"]["fell_back"]


def test_a_candidate_that_misses_the_floors_cannot_win(spec: Spec) -> None:
    cheap = trial([1.0, 1.0], -4, floors=[0.1, 0.5, 0.6])
    won = choose([DEFAULT, cheap], PLAN, spec)
    assert (won.summary["winner"], won.summary["infeasible"]) == (0, 1)
    assert won.trials["state"].to_list() == ["complete", "infeasible"]
    assert choose([cheap, DEFAULT], PLAN, spec).summary["default"] is None


def test_floors_that_no_candidate_meets_end_the_search_and_name_the_closest(ground: Ground, spec: Spec) -> None:
    strict = replace(spec, floors=Floors(precision=0.99, recall=0.3))
    message = r"no policy of 2 candidates meets them .* Missed: .*; the closest reaches precision 0\.\d+ with recall"
    with pytest.raises(FloorsError, match=message):
        tune(replace(ground, spec=strict), Search(trials=2))


@pytest.mark.slow
def test_floors_that_the_past_misses_do_not_end_the_run(
    dataset: Dataset, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shuffled(*arguments: object) -> object:
        return np.random.default_rng(0).permutation(out_of_fold(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr("training.run.out_of_fold", shuffled)
    floors = replace(spec, floors=Floors(precision=0.6, recall=0.3))
    trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), floors, TREE)
    later = trained.evaluation["held_out_customers_and_later"]
    assert "the closest reaches" in later["floors_missed"]
    assert later["policy"]["applications"] > 0


def test_a_search_that_had_no_time_and_a_file_that_is_no_study_are_refused(ground: Ground, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="before one trial was finished"):
        tune(ground, Search(trials=None, keep_going=lambda: False))
    for content in ("no journal\nat all\n", '{"op_code": 99}\n[]\n'):
        path = tmp_path / "other.jsonl"
        path.write_text(content)
        with pytest.raises(InputError, match="not a study of a search"):
            tune(ground, Search(trials=1, study=path))


def test_the_command_tunes_says_the_gain_and_gives_the_same_bundle_again(
    training_folder: Path, credit_process: Credit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", training_folder, "--bundles", tmp_path / "bundles", "--model", "decision-tree", "--trials", 4)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    done = credit_process(*command)
    assert done.returncode == 0, done.stderr
    assert "Tuned with 4 candidates" in done.stdout
    bundle = Path(done.stdout.splitlines()[-1])
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["evaluation"]["tuning"]["trials"] == 4
    study = (tmp_path / "bundles/study.jsonl").read_text()
    monkeypatch.setenv("PYTHONHASHSEED", "10")  # sets of strings in another order, which once stood in the graph
    again = credit_process(*command)
    assert again.stdout == done.stdout
    finished = '"state":1'
    assert (tmp_path / "bundles/study.jsonl").read_text().count(finished) == study.count(finished), "no trial ran twice"


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_a_tuning_time_of_nothing_is_refused(
    minutes: str, training_folder: Path, credit: Credit, tmp_path: Path
) -> None:
    done = credit("train", training_folder, "--bundles", tmp_path, "--tune-minutes", minutes)
    assert done.returncode == 2
    assert "--tune-minutes" in done.stderr
    assert "expected more than 0" in done.stderr

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
from features.spec import Floors, Spec
from recipes.dataset import Dataset
from tests.conftest import Credit
from training.candidate import fit_side
from training.choose_policy import FloorsError
from training.data import Examples, Split, TrainingData, before, label_examples
from training.fit import DEFAULTS, ModelKind
from training.report.sections_model import gains
from training.run import train
from training.search_space import SPACES, serving_cost
from training.tune import Search, tune
from training.tuned import Tuned, choose

TREE = ModelKind.DECISION_TREE
TRIALS = 14


@pytest.fixture(scope="module")
def examples(dataset: Dataset, spec: Spec) -> Examples:
    return label_examples(TrainingData(dataset.applications, dataset.events, dataset.labels), spec)[0]


@pytest.fixture(scope="module")
def found(examples: Examples, spec: Spec) -> Tuned:
    return tune(examples, spec, TREE, 0, Search(trials=TRIALS))


class StoppedError(Exception):
    """What stands for kill -9 in the middle of a trial."""


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    examples: Examples, spec: Spec, found: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "study.jsonl", 0

    def stops_in_the_fourth_trial(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 17:
            raise StoppedError
        return fit_side(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("training.tune.fit_side", stops_in_the_fourth_trial)
    with pytest.raises(StoppedError):
        tune(examples, spec, TREE, 0, Search(trials=TRIALS, study=path))
    with path.open("a") as file:
        file.write('{"op_code": 5, "tri')  # the line that was being written
    seen: list[int] = []
    search = Search(trials=TRIALS, study=path, tell=lambda finished, _best: seen.append(finished))
    again = tune(examples, spec, TREE, 0, search)
    assert seen == list(range(3, TRIALS + 1)), "finished trials are not run again"
    assert again.trials.equals(found.trials)
    assert again.summary == found.summary


def test_a_study_of_another_task_in_the_same_file_is_not_taken(examples: Examples, spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    tune(examples, spec, TREE, 0, Search(trials=1, study=path))
    told: list[int] = []
    search = Search(trials=1, study=path, tell=lambda finished, _best: told.append(finished))
    tune(examples, spec, TREE, 1, search)
    tune(examples, replace(spec, floors=Floors(precision=0.1, recall=None)), TREE, 0, search)
    assert told == [0, 1, 0, 1]


def test_the_default_comes_first_and_hopeless_candidates_are_cut_short(found: Tuned) -> None:
    first = found.trials.row(0, named=True)
    assert {name: first[name] for name in SPACES[TREE]} == DEFAULTS[TREE]
    states = found.trials["state"].to_list()
    assert states.count("pruned") > 0
    assert states.count("pruned") == found.summary["pruned"]
    cut = found.trials.filter(pl.col("state") == "pruned")
    assert cut["cost_fold_5"].null_count() == cut.height
    whole = found.trials.filter(pl.col("state") == "complete")
    mean = whole.select(pl.mean_horizontal(pl.col("^cost_fold_.*$"))).to_series()
    assert np.allclose(mean, whole["cost"])
    assert found.summary["cost"] <= first["cost"]


def test_the_best_so_far_is_told(examples: Examples, spec: Spec, found: Tuned) -> None:
    told: list[float | None] = []
    tune(examples, spec, TREE, 0, Search(trials=3, tell=lambda _, best: told.append(best)))
    costs = found.trials["cost"].head(3).to_list()
    assert told == [None, costs[0], min(costs[:2]), min(costs)]


def trial(costs: list[float], depth: int = 6, floors: list[float] | None = None) -> FrozenTrial:
    attributes = {"folds": costs} | ({"floors": floors} if floors else {})
    return optuna.trial.create_trial(
        params={"max_depth": depth, "min_samples_leaf": 25},
        distributions=dict(SPACES[TREE]),
        value=None if floors else float(np.mean(costs)),
        state=TrialState.PRUNED if floors else TrialState.COMPLETE,
        user_attrs=attributes,
    )


DEFAULT = trial([10.0, 11.0, 12.0, 13.0, 14.0])


def test_a_gain_inside_the_noise_is_called_that(spec: Spec) -> None:
    noisy = choose([DEFAULT, trial([9.0, 12.0, 11.0, 14.5, 12.0], 3)], TREE, spec).summary["default"]
    assert noisy["gain"] > 0
    assert noisy["inside_the_noise"]
    clear = choose([DEFAULT, trial([9.0, 10.1, 11.0, 11.9, 13.0])], TREE, spec).summary["default"]
    assert not clear["inside_the_noise"]
    assert clear["low"] > 0


def test_what_is_said_of_a_gain(spec: Spec) -> None:
    def said(candidate: FrozenTrial) -> str:
        return " ".join(gains({**choose([DEFAULT, candidate], TREE, spec).summary, "held_out": None}, "EUR"))

    assert "the default was kept" in said(trial([11.0, 12.0, 13.0, 14.0, 15.0])).lower()
    assert said(trial([9.0, 12.0, 11.0, 14.5, 12.0], 3)).endswith("inside the noise.")
    assert said(trial([9.0, 10.1, 11.0, 11.9, 13.0])).endswith("more than noise.")


def test_ties_go_to_the_candidate_that_is_cheapest_to_serve(spec: Spec) -> None:
    best = trial([9.0, 10.0, 11.0, 12.0, 13.0], 6)
    tie = trial([9.1, 9.9, 11.2, 11.9, 13.0], 3)
    worse = trial([9.5, 10.5, 11.5, 12.5, 13.5], 2)
    won = choose([DEFAULT, best, tie, worse], TREE, spec)
    assert won.summary["winner"] == 2
    assert won.summary["serving_cost"] == serving_cost(TREE, tie.params, 3) == 3
    dearer_than_the_default = trial([10.9, 11.9, 12.0, 12.0, 14.0], 2)
    assert choose([DEFAULT, dearer_than_the_default], TREE, spec).summary["winner"] == 0
    assert serving_cost(ModelKind.XGBOOST, DEFAULTS[ModelKind.XGBOOST], 3) == 180 * 6


def test_a_candidate_that_misses_the_floors_cannot_win(spec: Spec) -> None:
    cheap = trial([1.0, 1.0], 2, floors=[0.1, 0.5, 0.6])
    won = choose([DEFAULT, cheap], TREE, spec)
    assert (won.summary["winner"], won.summary["infeasible"]) == (0, 1)
    assert won.trials["state"].to_list() == ["complete", "infeasible"]
    assert choose([cheap, DEFAULT], TREE, spec).summary["default"] is None


def test_floors_that_no_candidate_meets_end_the_search_and_name_the_closest(examples: Examples, spec: Spec) -> None:
    strict = replace(spec, floors=Floors(precision=0.99, recall=0.3))
    message = r"no policy of 2 candidates meets them .* Missed: .*; the closest reaches precision 0\.\d+ with recall"
    with pytest.raises(FloorsError, match=message):
        tune(examples, strict, TREE, 0, Search(trials=2))


def test_floors_that_the_past_misses_do_not_end_the_run(
    dataset: Dataset, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shuffled(split: Split, cutoff: int) -> Split:
        past = before(split, cutoff)
        actual = np.random.default_rng(0).permutation(past.calibration.actual)
        return Split(past.train, replace(past.calibration, actual=actual), past.test)

    monkeypatch.setattr("training.run.before", shuffled)
    floors = replace(spec, floors=Floors(precision=0.6, recall=0.3))
    trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), floors, TREE)
    later = trained.evaluation["held_out_customers_and_later"]
    assert "the closest reaches" in later["floors_missed"]
    assert later["policy"]["applications"] > 0


def test_a_search_that_had_no_time_and_a_file_that_is_no_study_are_refused(
    examples: Examples, spec: Spec, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="before one trial was finished"):
        tune(examples, spec, TREE, 0, Search(trials=None, keep_going=lambda: False))
    for content in ("no journal\nat all\n", '{"op_code": 99}\n[]\n'):
        path = tmp_path / "other.jsonl"
        path.write_text(content)
        with pytest.raises(InputError, match="not a study of a search"):
            tune(examples, spec, TREE, 0, Search(trials=1, study=path))


def test_the_command_tunes_says_the_gain_and_gives_the_same_bundle_again(
    training_folder: Path, credit: Credit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", training_folder, "--bundles", tmp_path / "bundles", "--model", "decision-tree", "--trials", 4)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    done = credit(*command)
    assert done.returncode == 0, done.stderr
    assert "Tuned with 4 candidates" in done.stdout
    assert "gain on held-out customers, who took no part:" in done.stdout
    bundle = Path(done.stdout.splitlines()[-1])
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["evaluation"]["tuning"]["trials"] == 4
    study = (tmp_path / "bundles/study.jsonl").read_text()
    monkeypatch.setenv("PYTHONHASHSEED", "10")  # sets of strings in another order, which once stood in the graph
    again = credit(*command)
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

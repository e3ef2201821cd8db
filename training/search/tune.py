"""Search around the recipe for parameters of least expected cost, by folds of customers. Seeded, pruned, resumable.

Each candidate changes the recipe's plan (`search_space`). It is grown on five folds by customer, calibrated
and given its policy across them as the final model is; its figure is what its decisions cost on the customers of each
fold that it never saw. Trial n depends on the finished trials before it alone, so a search that was interrupted goes on
as if it had not been. Whether the winner is worth it is then asked of other folds: see `training.run`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from features.errors import InputError
from features.spec.contract import Spec
from metrics import log_losses, value_of, weighted_mean
from training.choose_policy import FloorsError
from training.data import Examples
from training.fit.calibrate import chain
from training.fit.cross_fit import Folds, cross_fit, fold_margins
from training.fit.fit import Margins
from training.fit.recipe import Plan
from training.folds import FOLDS, assign_folds
from training.search.search_space import SPACES, changed, default_of
from training.search.study import open_study
from training.search.tuned import Tuned, choose

_PRUNER = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
_STARTUP_TRIALS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How long to search, where the trials are kept, and who is told.

    `trials` counts those of an earlier run that is resumed; None: as many as `keep_going` allows. Only a search by
    trials is reproducible. `tell(finished, best)` gets the least cost per application so far, None before there is one.
    """

    trials: int | None
    study: Path | None = None
    keep_going: Callable[[], bool] = lambda: True
    tell: Callable[[int, float | None], None] = lambda _finished, _best: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a search works on: rows, spec and the recipe's plan."""

    examples: Examples
    spec: Spec
    plan: Plan

    @property
    def fold_of(self) -> Folds:
        """The folds of the search; those by which the run is evaluated are others."""
        return assign_folds(self.examples, FOLDS, self.plan.seed + 1)

    def cost(self, trial: Trial) -> float:
        """Return the mean cost per application over the folds.

        Raises:
            TrialPruned: a log loss above the median of earlier trials at the same fold.
            FloorsError: no policy of this candidate meets the floors.

        """
        plan, fold_of = changed(self.plan, trial.params, trial.number), self.fold_of
        margins = np.empty((len(self.examples), len(plan.ensembles)))
        losses: list[float] = []
        for fold in range(FOLDS):
            own = fold_of == fold
            margins[own] = fold_margins(self.examples, plan, own)
            losses.append(_log_loss(margins[own], self.examples.only(own)))
            trial.report(float(np.mean(losses)), fold)
            if fold < FOLDS - 1 and trial.should_prune():
                raise optuna.TrialPruned
        judged = cross_fit(self.spec, self.examples, margins, fold_of).judged
        decided, weights = judged.decided, self.examples.weights
        logs = log_losses(judged.probabilities, decided.actual)
        parts = [fold_of == fold for fold in range(FOLDS)]
        trial.set_user_attr("folds", [value_of("expected_cost", decided, own) for own in parts])
        losses = [weighted_mean(logs[own], None if weights is None else weights[own]) for own in parts]
        trial.set_user_attr("losses", losses)
        return float(np.mean(trial.user_attrs["folds"]))


def _log_loss(margins: Margins, examples: Examples) -> float:
    """Return the log loss before calibration."""
    return weighted_mean(log_losses(chain(margins), examples.actual), examples.weights)


def tune(ground: Ground, search: Search) -> Tuned:
    """Search, the recipe's own plan first.

    Raises:
        InputError: the study file cannot be used, or the search ended before one trial.
        FloorsError: no candidate meets the floors; names the closest.

    """
    study = open_study(search.study, _key(ground), _PRUNER)
    finished = _finished(study)
    search.tell(len(finished), _best(finished))
    while (search.trials is None or len(finished) < search.trials) and search.keep_going():
        _run_trial(study, ground, len(finished))
        finished = _finished(study)
        search.tell(len(finished), _best(finished))
    if not finished:
        raise InputError("tuning: the time was over before one trial was finished. Allow more minutes.")
    return choose(finished, ground.plan, ground.spec)


def _run_trial(study: optuna.Study, ground: Ground, number: int) -> None:
    seed = (ground.plan.seed * 1_000_003 + number) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS, constant_liar=False)
    kind = ground.plan.kind
    if number == 0 and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(default_of(kind))
    trial = study.ask(dict(SPACES[kind]))
    try:
        study.tell(trial, ground.cost(trial))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except FloorsError as error:
        trial.set_user_attr("floors", [error.shortfall, *error.reached])
        study.tell(trial, state=TrialState.PRUNED)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _best(finished: list[FrozenTrial]) -> float | None:
    return min((trial.value for trial in finished if trial.value is not None and _whole(trial)), default=None)


def _whole(trial: FrozenTrial) -> bool:
    return trial.state is TrialState.COMPLETE


def _key(ground: Ground) -> str:
    """Name a study after all that its trials depend on, so that trials of another task are never taken for its own."""
    digest = hashlib.sha256()
    own = ground.examples
    for array in (own.matrix, own.actual, own.customers, own.weights, own.class_weights):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    spec, space = ground.spec, sorted(SPACES[ground.plan.kind].items())
    facts = (ground.plan.to_json(), spec.classes, spec.costs, spec.floors, space, optuna.__version__)
    digest.update(repr(facts).encode())
    return digest.hexdigest()

"""Search for parameters of least expected cost, cross-validated by customer. Seeded, pruned, resumable.

Each candidate is fitted, calibrated and given its policy on each of five folds by customer, as the final model is; its
figure is what its decisions cost on the customers of each fold that it never saw. The test customers take no part.
Trial n depends on the finished trials before it alone, so a search that was interrupted goes on as if it had not been.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from features.errors import InputError
from features.spec import Spec
from training.candidate import fit_side
from training.choose_policy import FloorsError
from training.data import Examples
from training.fit import DEFAULTS, ModelKind, Parameters
from training.folds import FOLDS, folds
from training.search_space import SPACES
from training.study import open_study
from training.tuned import Tuned, choose

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


@dataclass(frozen=True, slots=True)
class _Objective:
    examples: Examples
    spec: Spec
    kind: ModelKind
    seed: int

    def cost(self, trial: Trial, parameters: Parameters) -> float:
        """Return the mean cost per application over the folds.

        Raises:
            TrialPruned: worse than the median of earlier trials at the same fold.
            FloorsError: no policy of this candidate meets the floors in one of the folds.

        """
        costs = np.array(self.spec.costs)
        found: list[float] = []
        for split, _ in folds(self.examples, self.seed):
            fitted = fit_side(split, self.spec, self.kind, self.seed, parameters)
            assigned = fitted.policy.assign(fitted.probabilities(split.test.matrix))
            found.append(float(costs[split.test.actual, assigned].mean()))
            trial.set_user_attr("folds", found)
            trial.report(float(np.mean(found)), len(found))
            if len(found) < FOLDS and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(found))


def tune(examples: Examples, spec: Spec, kind: ModelKind, seed: int, search: Search) -> Tuned:
    """Search on the customers of `examples`, the default first.

    Raises:
        InputError: the study file cannot be used, or the search ended before one trial.
        FloorsError: no candidate meets the floors; names the closest.

    """
    study = open_study(search.study, _key(examples, spec, kind, seed), _PRUNER)
    objective = _Objective(examples, spec, kind, seed)
    finished = _finished(study)
    search.tell(len(finished), _best(finished))
    while (search.trials is None or len(finished) < search.trials) and search.keep_going():
        _run_trial(study, objective, len(finished))
        finished = _finished(study)
        search.tell(len(finished), _best(finished))
    if not finished:
        raise InputError("tuning: the time was over before one trial was finished. Allow more minutes.")
    return choose(finished, kind, spec)


def _run_trial(study: optuna.Study, objective: _Objective, number: int) -> None:
    study.sampler = optuna.samplers.TPESampler(
        seed=(objective.seed * 1_000_003 + number) % 2**32, n_startup_trials=_STARTUP_TRIALS, constant_liar=False
    )
    space, default = SPACES[objective.kind], DEFAULTS[objective.kind]
    if number == 0 and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(dict(default))
    trial = study.ask(dict(space))
    try:
        study.tell(trial, objective.cost(trial, trial.params))
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


def _key(examples: Examples, spec: Spec, kind: ModelKind, seed: int) -> str:
    """Name a study after all that its trials depend on, so that trials of another task are never taken for its own."""
    digest = hashlib.sha256()
    for array in (examples.matrix, examples.actual, examples.customers):
        digest.update(np.ascontiguousarray(array).tobytes())
    facts = (kind, seed, spec.classes, spec.costs, spec.floors, sorted(SPACES[kind].items()), optuna.__version__)
    digest.update(repr(facts).encode())
    return digest.hexdigest()

"""What a search found: the winner, the table of trials, and the gain over the default against its noise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from features.spec.contract import Spec
from scoring.policy import Policy
from training.choose_policy import FloorsError
from training.fit.recipe import Plan
from training.folds import FOLDS
from training.search.search_space import changed, serving_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The winner's plan, one row per trial, and figures for the report."""

    plan: Plan
    trials: pl.DataFrame
    summary: dict[str, Any]


def choose(finished: list[FrozenTrial], plan: Plan, spec: Spec) -> Tuned:
    """Choose the candidate of least cost, and among its ties the one that is cheapest to serve.

    Ties are within the noise of the least cost. None costs more than the recipe's own plan, the first trial, or states
    probabilities of a higher log loss: with few defaults costs alone hardly tell candidates apart.

    Raises:
        FloorsError: no candidate meets the floors; holds the closest.

    """
    complete = [(n, trial) for n, trial in enumerate(finished) if trial.state is TrialState.COMPLETE]
    if not complete:
        raise _closest(finished, spec)
    default = next((trial for n, trial in complete if n == 0), None)
    eligible = [
        (n, t) for n, t in complete if default is None or (_cost(t) <= _cost(default) and _loss(t) <= _loss(default))
    ]
    best = min(eligible, key=lambda pair: (_cost(pair[1]), pair[0]))[1]
    ties = [(n, trial) for n, trial in eligible if _within_noise(trial, best)]

    def serving(pair: tuple[int, FrozenTrial]) -> tuple[int, float, int]:
        return serving_cost(changed(plan, pair[1].params, pair[0])), _cost(pair[1]), pair[0]

    number, winner = min(ties, key=serving)
    taken = changed(plan, winner.params, number)
    summary = {
        "trials": len(finished),
        "pruned": sum(t.state is TrialState.PRUNED and "floors" not in t.user_attrs for t in finished),
        "infeasible": sum("floors" in t.user_attrs for t in finished),
        "folds": FOLDS,
        "winner": number,
        "parameters": dict(winner.params),
        "cost": round(_cost(winner), 6),
        "serving_cost": serving_cost(taken),
        "default": _gain(default, winner, plan),
        "other_folds": None,
        "fell_back": False,
    }
    return Tuned(plan=taken, trials=_table(finished, plan), summary=summary)


def _costs(trial: FrozenTrial) -> NDArray[np.float64]:
    return np.array(trial.user_attrs["folds"])


def _cost(trial: FrozenTrial) -> float:
    return float(_costs(trial).mean())


def _loss(trial: FrozenTrial) -> float:
    return float(np.mean(trial.user_attrs["losses"]))


def _not_worse(trial: FrozenTrial, default: FrozenTrial) -> bool:
    return _cost(trial) <= _cost(default) and _loss(trial) <= _loss(default)


def _within_noise(trial: FrozenTrial, best: FrozenTrial) -> bool:
    """Tell whether a candidate is within one standard error, paired by fold, of the best (Breiman's rule)."""
    difference = _costs(trial) - _costs(best)
    return bool(difference.mean() <= difference.std(ddof=1) / np.sqrt(FOLDS))


def _gain(default: FrozenTrial | None, winner: FrozenTrial, plan: Plan) -> dict[str, Any] | None:
    """Return what the winner saves per application, with Student's 95 % interval of the folds' differences."""
    if default is None:
        return None
    saved = _costs(default) - _costs(winner)
    half = float(stats.t.ppf(0.975, FOLDS - 1) * saved.std(ddof=1) / np.sqrt(FOLDS))
    mean = float(saved.mean())
    return {
        "cost": round(_cost(default), 6),
        "serving_cost": serving_cost(plan),
        "gain": round(mean, 6),
        "low": round(mean - half, 6),
        "high": round(mean + half, 6),
        "inside_the_noise": mean - half <= 0,
    }


def _closest(finished: list[FrozenTrial], spec: Spec) -> FloorsError:
    reached = [trial.user_attrs["floors"] for trial in finished if "floors" in trial.user_attrs]
    _, precision, recall = min(reached)
    return FloorsError(spec.floors, Policy.of(spec), (precision, recall), len(finished))


def _table(finished: list[FrozenTrial], plan: Plan) -> pl.DataFrame:
    rows = [
        {
            "trial": number,
            "state": "infeasible" if "floors" in trial.user_attrs else trial.state.name.lower(),
            "cost": trial.value if trial.state is TrialState.COMPLETE else None,
            "serving_cost": serving_cost(changed(plan, trial.params, number)),
            **{f"cost_fold_{i + 1}": _cost_at(trial, i) for i in range(FOLDS)},
            **{name: float(value) for name, value in sorted(trial.params.items())},
        }
        for number, trial in enumerate(finished)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _cost_at(trial: FrozenTrial, fold: int) -> float | None:
    found = trial.user_attrs.get("folds", [])
    return float(found[fold]) if fold < len(found) else None

"""One training run: features, folds, shapes, search, calibration, policy, evaluation, and the fit on all rows."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.matrix import FeatureTable
from features.spec.contract import Spec
from features.spec.directions import feature_directions, missing_ends
from metrics import log_losses, paired_by_customer
from scoring.policy import Policy
from training.account import account, refuse_empty_columns
from training.choose_plan import choose_plan
from training.data import Examples, Split, TrainingData, label_examples, last_period
from training.evaluate.judged import Judged, evaluate_judged, judge
from training.evaluate.prices import price_directions
from training.fit.calibrate import Calibration
from training.fit.candidate import Fit
from training.fit.cross_fit import Folds, cross_fit, floors_missed, judge_folds, out_of_fold
from training.fit.fit import Fitted, Margins, ModelKind
from training.fit.grow import fit_plan, with_exact_sums
from training.fit.recipe import Plan
from training.folds import LEAST_OF_A_CLASS, assign_folds, check_classes, fold_count, hold_out
from training.search.tune import Ground, Search, tune
from training.search.tuned import Tuned

__all__ = ["Progress", "RunOptions", "Trained", "train"]

Progress = Callable[[str], None]

CROSS_FITTED, HOLDOUT = "cross-fitted", "holdout"


def _silent(_stage: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The seed decides folds and fits; `holdout` is the share of customers that are judged and never trained on.

    A search (None: the recipe as it is) looks for other parameters; `progress` is told each stage.
    """

    seed: int = 0
    search: Search | None = None
    progress: Progress = _silent
    holdout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted model with all that its bundle needs. `split` holds whom it learned from and whom it was judged by.

    Trained here: `plan` is how, `fold_of` the fold of each row that it learned from, and `stated` the calibrated
    out-of-fold probabilities of these rows, on which the policy was chosen. None of a model trained elsewhere.
    `source` is what was found in the file of a model that was trained elsewhere, None for one that was trained here.
    """

    spec: Spec
    model: Fitted
    calibration: Calibration
    policy: Policy
    evaluation: dict[str, Any]
    features: FeatureTable
    fingerprint: str
    split: Split
    judged: Judged
    tuned: Tuned | None = None
    plan: Plan | None = None
    fold_of: Folds | None = None
    stated: NDArray[np.float32] | None = None
    source: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What a run works on: the rows that it may learn from, and their folds."""

    examples: Examples
    spec: Spec
    kind: ModelKind
    fold_of: Folds
    options: RunOptions

    def chosen(self) -> tuple[Plan, Margins, Tuned | None]:
        """Return the plan with its out-of-fold margins, from a search if there is one."""
        options, classes = self.options, len(self.spec.classes)
        options.progress("folds")
        folds = len(np.unique(self.fold_of))
        directions, ends = feature_directions(self.spec), missing_ends(self.spec)
        bare = Plan(kind=self.kind, folds=folds, seed=options.seed)
        bare = replace(bare, directions=directions, missing_ends=ends) if any(directions) else bare
        plan, margins = choose_plan(self.examples, self.fold_of, classes, bare)
        if options.search is None:
            return plan, margins, None
        options.progress("tune")
        ground = Ground(examples=self.examples, spec=self.spec, plan=plan)
        tuned = tune(ground, options.search)
        if tuned.plan == plan:
            return plan, margins, tuned
        found = out_of_fold(self.examples, tuned.plan, self.fold_of)
        gain = self._gain(margins, found)
        worse = gain["high"] < 0 or gain["log_loss_saved"]["high"] < 0
        summary = {**tuned.summary, "other_folds": gain, "fell_back": worse}
        tuned = replace(tuned, summary=summary)
        return (plan, margins, tuned) if worse else (tuned.plan, found, tuned)

    def _gain(self, default: Margins, found: Margins) -> dict[str, Any]:
        """Compare a search's winner with the recipe's own plan on folds that took no part in the search."""
        old, new = (judge_folds(self.spec, self.examples, m, self.fold_of) for m in (default, found))
        actual, customers, weights = self.examples.actual, self.examples.customers, self.examples.weights
        saved = old.decided.paid - new.decided.paid
        nearer = log_losses(old.probabilities, actual) - log_losses(new.probabilities, actual)
        return {
            **paired_by_customer(saved, customers, weights),
            "log_loss_saved": paired_by_customer(nearer, customers, weights),
        }


def train(
    data: TrainingData, spec: Spec, kind: ModelKind = ModelKind.XGBOOST, options: RunOptions | None = None
) -> Trained:
    """Choose how to fit by folds, calibrate, choose the policy and evaluate out of fold; then fit on all rows.

    Raises:
        InputError: the data cannot be used, or a customer is on two sides of the split.
        FloorsError: no policy meets the floors.

    """
    options = options or RunOptions()
    options.progress("features")
    examples, table = label_examples(data, spec)
    refuse_empty_columns(data, table, spec)
    known, test = hold_out(examples, options.holdout, options.seed)
    check_classes(known, spec)
    fold_of = assign_folds(known, fold_count(len(known)), options.seed)
    task = _Task(examples=known, spec=spec, kind=kind, fold_of=fold_of, options=options)
    plan, margins, tuned = task.chosen()
    options.progress("evaluate")
    crossed = cross_fit(spec, known, margins, fold_of)
    options.progress("fit")
    model = with_exact_sums(fit_plan(known, plan))
    split = Split(known, known, test or known)
    judged = crossed.judged if test is None else judge(Fit(model, crossed.calibration, crossed.policy), split, spec)
    options.progress("evaluate out of time")
    evaluation = {
        "seed": options.seed,
        "protocol": CROSS_FITTED if test is None else HOLDOUT,
        "holdout": options.holdout,
        "folds": plan.folds,
        "rows": {"train": len(known), "test": len(judged.examples)},
        "rejected_applications": int((table.rejects["table"] == "applications").sum()),
        **account(data, table, spec),
        "held_out_customers": evaluate_judged(judged),
        "tuning": None if tuned is None else tuned.summary,
        "directions": None
        if not plan.directions
        else {
            **price_directions(spec, known, plan, fold_of, margins),
            "class_follows": crossed.policy.is_monge(),
        },
        "held_out_customers_and_later": _out_of_time(task, plan),
    }
    return Trained(
        spec=spec,
        model=model,
        calibration=crossed.calibration,
        policy=crossed.policy,
        evaluation=evaluation,
        features=table,
        fingerprint=fingerprint(examples),
        split=split,
        judged=judged,
        tuned=tuned,
        plan=plan,
        fold_of=fold_of,
        stated=crossed.stated,
    )


def _out_of_time(task: _Task, plan: Plan) -> dict[str, Any] | None:
    """Repeat the run as if the last label periods had not come yet, and test on them; None with one period only.

    Shapes and numbers of trees are the run's own; ensembles, calibration and policy come from the past alone, and each
    fold's later rows are judged by those of the other folds' customers.
    """
    examples = task.examples
    cutoff = last_period(examples.as_of)
    if cutoff is None:
        return None
    past = examples.as_of < cutoff
    enough = all(
        len(np.unique(task.fold_of[past & (examples.actual == i)])) >= LEAST_OF_A_CLASS
        for i in range(len(task.spec.classes))
    )
    if not enough:
        return None
    first = pl.Series([cutoff]).cast(pl.Datetime("us", "UTC"))[0].isoformat()
    margins = out_of_fold(examples, plan, task.fold_of, past)
    judged = judge_folds(task.spec, examples, margins, task.fold_of, past)
    missed = floors_missed(task.spec, margins[past], examples.only(past))
    return {"from": first, "floors_missed": missed, **evaluate_judged(judged)}


def fingerprint(examples: Examples) -> str:
    """SHA-256 of what the model was trained and tested on: features, labels, instants, in their order."""
    digest = hashlib.sha256()
    for array in (examples.matrix, examples.actual, examples.as_of, examples.weights):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

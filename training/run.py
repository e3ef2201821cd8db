"""One training run: features, splits, search, fit, calibration, policy, evaluation."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from features.matrix import FeatureTable
from features.spec import Floors, Spec
from metrics import paired_by_customer
from scoring.policy import Policy
from training.calibrate import Calibration
from training.candidate import Fit, fit_side
from training.choose_policy import FloorsError
from training.data import Examples, Split, TrainingData, before, label_examples, last_period, split_by_customer
from training.fit import Fitted, ModelKind, Parameters
from training.judged import Judged, evaluate_judged, judge
from training.tune import Search, tune
from training.tuned import Tuned

Progress = Callable[[str], None]


def _silent(_stage: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The seed decides the split; a search (None: the defaults) the parameters; `progress` is told each stage."""

    seed: int = 0
    search: Search | None = None
    progress: Progress = _silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted model with all that its bundle needs. `split` holds whom it learned from and whom it was judged by."""

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


def train(
    data: TrainingData, spec: Spec, kind: ModelKind = ModelKind.XGBOOST, options: RunOptions | None = None
) -> Trained:
    """Search if asked to, train, calibrate, choose the policy, evaluate on customers that none of the former saw.

    Raises:
        InputError: the data cannot be used, or a customer is on two sides of the split.
        FloorsError: no policy meets the floors.

    """
    options = options or RunOptions()
    options.progress("features")
    examples, table = label_examples(data, spec)
    split = split_by_customer(examples, options.seed)
    tuned = _search(split, examples, spec, kind, options)
    options.progress("fit")
    parameters = tuned.parameters if tuned else None
    fitted = fit_side(split, spec, kind, options.seed, parameters)
    options.progress("evaluate")
    judged = judge(fitted, split, spec)
    gain = None if tuned is None else _held_out_gain(judged, split, kind, options)
    evaluation = {
        "seed": options.seed,
        "rows": {"train": len(split.train), "calibration": len(split.calibration), "test": len(split.test)},
        "rejected_applications": int((table.rejects["table"] == "applications").sum()),
        "held_out_customers": evaluate_judged(judged),
        "tuning": None if tuned is None else {**tuned.summary, "held_out": gain},
    }
    options.progress("evaluate out of time")
    evaluation["held_out_customers_and_later"] = _out_of_time(split, spec, kind, options.seed, parameters)
    return Trained(
        spec=spec,
        model=fitted.model,
        calibration=fitted.calibration,
        policy=fitted.policy,
        evaluation=evaluation,
        features=table,
        fingerprint=fingerprint(examples),
        split=split,
        judged=judged,
        tuned=tuned,
    )


def _search(split: Split, examples: Examples, spec: Spec, kind: ModelKind, options: RunOptions) -> Tuned | None:
    if options.search is None:
        return None
    options.progress("tune")
    known = examples.only(~np.isin(examples.customers, split.test.customers))
    return tune(known, spec, kind, options.seed, options.search)


def _held_out_gain(judged: Judged, split: Split, kind: ModelKind, options: RunOptions) -> dict[str, Any] | None:
    """Compare with the default parameters on the test customers, who took no part in the search."""
    try:
        default = judge(fit_side(split, judged.spec, kind, options.seed), split, judged.spec)
    except FloorsError:
        return None
    rows = np.arange(len(split.test)), split.test.actual
    saved = judged.costs[rows[1], default.assigned] - judged.costs[rows[1], judged.assigned]
    return paired_by_customer(saved, split.test.customers)


def _out_of_time(
    split: Split, spec: Spec, kind: ModelKind, seed: int, parameters: Parameters | None
) -> dict[str, Any] | None:
    """Repeat the run as if the last label periods had not come yet, and test on them; None with one period only."""
    cutoff = last_period(split.test.as_of)
    if cutoff is None:
        return None
    past = before(split, cutoff)
    present = [set(np.unique(side.actual)) for side in (past.train, past.calibration)]
    if min(len(classes) for classes in present) < len(spec.classes) or len(past.test) == 0:
        return None
    first = pl.Series([cutoff]).cast(pl.Datetime("us", "UTC"))[0].isoformat()
    fitted, missed = _fit_past(past, spec, kind, seed, parameters)
    return {"from": first, "floors_missed": missed, **evaluate_judged(judge(fitted, past, spec))}


def _fit_past(
    past: Split, spec: Spec, kind: ModelKind, seed: int, parameters: Parameters | None
) -> tuple[Fit, str | None]:
    """Fit; where the past cannot meet the floors, take the closest policy and say so: this model is not published."""
    try:
        return fit_side(past, spec, kind, seed, parameters), None
    except FloorsError as error:
        free = replace(spec, floors=Floors(precision=None, recall=None))
        fitted = fit_side(past, free, kind, seed, parameters)
        return Fit(fitted.model, fitted.calibration, error.policy), str(error)


def fingerprint(examples: Examples) -> str:
    """SHA-256 of what the model was trained and tested on: features, labels, instants, in their order."""
    digest = hashlib.sha256()
    for array in (examples.matrix, examples.actual, examples.as_of):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

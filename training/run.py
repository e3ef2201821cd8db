"""One training run: features, splits, fit, calibration, policy, evaluation."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.matrix import FeatureTable
from features.spec import Spec
from scoring.metrics import Outcome, evaluate
from scoring.policy import Policy
from training.calibrate import Calibration, fit_calibration
from training.choose_policy import choose_policy
from training.data import Examples, Split, TrainingData, before, label_examples, last_period, split_by_customer
from training.fit import Fitted, ModelKind, fit

Progress = Callable[[str], None]


def _silent(_stage: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted model with all that its bundle needs."""

    spec: Spec
    model: Fitted
    calibration: Calibration
    policy: Policy
    evaluation: dict[str, Any]
    features: FeatureTable
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Fit:
    """Model, calibration and policy from the training and calibration side of one split."""

    model: Fitted
    calibration: Calibration
    policy: Policy

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the native model."""
        return self.calibration.probabilities(self.model.margins(matrix)).astype(np.float32)


def train(
    data: TrainingData, spec: Spec, kind: ModelKind = ModelKind.XGBOOST, *, seed: int = 0, progress: Progress = _silent
) -> Trained:
    """Train, calibrate, choose the policy and evaluate on customers that none of the former saw.

    Raises:
        InputError: the data cannot be used, or a customer is on two sides of the split.
        SpecError: no policy meets the floors.

    """
    progress("features")
    examples, table = label_examples(data, spec)
    split = split_by_customer(examples, seed)
    progress("fit")
    fitted = fit_side(split, spec, kind, seed)
    progress("evaluate")
    evaluation = {
        "rows": {"train": len(split.train), "calibration": len(split.calibration), "test": len(split.test)},
        "rejected_applications": int((table.rejects["table"] == "applications").sum()),
        "held_out_customers": evaluate_fit(fitted, split, spec),
    }
    progress("evaluate out of time")
    evaluation["held_out_customers_and_later"] = _out_of_time(split, spec, kind, seed)
    return Trained(
        spec=spec,
        model=fitted.model,
        calibration=fitted.calibration,
        policy=fitted.policy,
        evaluation=evaluation,
        features=table,
        fingerprint=fingerprint(examples),
    )


def fit_side(split: Split, spec: Spec, kind: ModelKind, seed: int) -> Fit:
    """Fit on the training customers, calibrate and choose the policy on the calibration customers."""
    model = fit(kind, split.train, len(spec.classes), seed)
    margins, actual = model.margins(split.calibration.matrix), split.calibration.actual
    calibration = fit_calibration(margins, actual)
    return Fit(model, calibration, choose_policy(spec, calibration.probabilities(margins).astype(np.float32), actual))


def evaluate_fit(fitted: Fit, split: Split, spec: Spec) -> dict[str, Any]:
    """Evaluate the policy's classes on the test side, beside the argmax and the majority class."""
    test = split.test
    probabilities = fitted.probabilities(test.matrix)
    known = split.train if len(split.train) else split.calibration
    counts = np.bincount(known.actual, minlength=len(spec.classes))
    prior = np.tile((counts / counts.sum()).astype(np.float32), (len(test), 1))
    costs = np.array(spec.costs)

    def figures(assigned: NDArray[np.int64], p: NDArray[np.float32]) -> dict[str, Any]:
        return evaluate(
            Outcome(
                classes=spec.classes,
                actual=test.actual,
                assigned=assigned,
                probabilities=p.astype(np.float64),
                customers=test.customers,
                costs=costs,
            )
        )

    return {
        "policy": figures(fitted.policy.assign(probabilities), probabilities),
        "argmax": figures(probabilities.argmax(axis=1), probabilities),
        "majority_class": figures(prior.argmax(axis=1), prior),
    }


def _out_of_time(split: Split, spec: Spec, kind: ModelKind, seed: int) -> dict[str, Any] | None:
    """Repeat the run as if the last label periods had not come yet, and test on them; None with one period only."""
    cutoff = last_period(split.test.as_of)
    if cutoff is None:
        return None
    past = before(split, cutoff)
    present = [set(np.unique(side.actual)) for side in (past.train, past.calibration)]
    if min(len(classes) for classes in present) < len(spec.classes) or len(past.test) == 0:
        return None
    first = pl.Series([cutoff]).cast(pl.Datetime("us", "UTC"))[0].isoformat()
    return {"from": first, **evaluate_fit(fit_side(past, spec, kind, seed), past, spec)}


def fingerprint(examples: Examples) -> str:
    """SHA-256 of what the model was trained and tested on: features, labels, instants, in their order."""
    digest = hashlib.sha256()
    for array in (examples.matrix, examples.actual, examples.as_of):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

"""What a model is judged by: labelled applications of customers that it never saw, and what it says about them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.spec.contract import Spec
from metrics import Decided, Outcome, against, evaluate_all
from scoring.policy import Policy
from training.data import Examples, Split
from training.fit.candidate import Fit
from training.weights import weighted_shares

__all__ = ["Judged", "evaluate_judged"]

Classes = NDArray[np.int64]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Labelled applications with calibrated probabilities (rows x classes).

    `prior` are the class shares that a model without features would state. `by_folds`, where floors make each fold's
    policy another one, holds the published policy and what the folds' own policies decided.
    """

    spec: Spec
    policy: Policy
    examples: Examples
    probabilities: Probabilities
    prior: NDArray[np.float64]
    by_folds: tuple[Policy, Classes] | None = None

    @property
    def costs(self) -> NDArray[np.float64]:
        """Money by actual and assigned class, without the multiplier: what a decision costs, not how it is made."""
        return np.array(self.policy.costs)

    @property
    def assigned(self) -> Classes:
        """The policy's classes; of the published policy those that each fold's own policy gave."""
        if self.by_folds is not None and self.by_folds[0] == self.policy:
            return self.by_folds[1]
        return self.policy.assign(self.probabilities)

    @property
    def decided(self) -> Decided:
        """The policy's classes beside what came true, with their prices."""
        return Decided(
            count=len(self.spec.classes),
            actual=self.examples.actual,
            assigned=self.assigned,
            customers=self.examples.customers,
            costs=self.costs,
            weights=self.examples.weights,
        )

    def outcome(self, assigned: Classes, probabilities: Probabilities) -> Outcome:
        """Return decisions beside what came true."""
        return Outcome(
            classes=self.spec.classes,
            actual=self.examples.actual,
            assigned=assigned,
            probabilities=probabilities.astype(np.float64),
            customers=self.examples.customers,
            costs=self.costs,
            weights=self.examples.weights,
        )


def judge(fitted: Fit, split: Split, spec: Spec) -> Judged:
    """Let a candidate state its probabilities for the test side of its split."""
    known = split.train if len(split.train) else split.calibration
    return Judged(
        spec=spec,
        policy=fitted.policy,
        examples=split.test,
        probabilities=fitted.probabilities(split.test.matrix),
        prior=weighted_shares(known.actual, known.weights, len(spec.classes)),
    )


def evaluate_judged(judged: Judged) -> dict[str, Any]:
    """Evaluate the policy beside decisions without it: argmax, majority class, everybody approved, best reachable.

    The last one where the truth is known. `policy.against` holds what the policy saves, paired by customer.
    """
    prior = np.tile(judged.prior.astype(np.float64), (len(judged.examples), 1))
    policy = judged.outcome(judged.assigned, judged.probabilities)
    without = replace(policy, probabilities=prior)
    outcomes = {
        "policy": policy,
        "argmax": replace(policy, assigned=policy.probabilities.argmax(axis=1)),
        "majority_class": replace(without, assigned=prior.argmax(axis=1)),
        "approve_all": replace(without, assigned=np.full_like(policy.assigned, len(judged.spec.classes) - 1)),
    }
    if judged.examples.truth is not None:
        truth = judged.examples.truth
        outcomes["best_reachable"] = judged.outcome(replace(judged.policy, multiplier=1.0).assign(truth), truth)
    found = evaluate_all(outcomes)
    return {**found, "policy": {**found["policy"], "against": against(policy)}}

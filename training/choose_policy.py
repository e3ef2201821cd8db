"""Choose the policy on calibration customers: the spec's costs, and the least multiplier that meets its floors."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from features.errors import SpecError
from features.spec.contract import Floors, Spec
from metrics import Decided, value_of
from scoring.policy import Policy

__all__ = ["choose_policy"]


class FloorsError(SpecError):
    """No policy meets the floors. Holds the closest, with what it reaches."""

    def __init__(self, floors: Floors, policy: Policy, reached: tuple[float, float], candidates: int = 1) -> None:
        """Say which floor is missed; `reached` are precision and recall of the closest."""
        precision, recall = reached
        self.policy, self.reached, self.shortfall = policy, reached, _shortfall(floors, precision, recall)
        pairs = {"precision": (floors.precision, precision), "recall": (floors.recall, recall)}
        missed = [f"{name} {floor:g}" for name, (floor, found) in pairs.items() if floor is not None and found < floor]
        of = "" if candidates == 1 else f" of {candidates} candidates"
        super().__init__(
            f"policy.floors: no policy{of} meets them on calibration customers. Missed: {' and '.join(missed)}; "
            f"the closest reaches precision {precision:.3f} with recall {recall:.3f}. "
            "Lower a floor, or improve the model's features."
        )


def choose_policy(
    spec: Spec,
    probabilities: NDArray[np.float32],
    actual: NDArray[np.int64],
    weights: NDArray[np.float64] | None = None,
) -> Policy:
    """Return the spec's policy; where it sets floors, with the smallest multiplier >= 1 that meets them.

    `weights` say how many applicants each application stands for; None: one.

    Raises:
        FloorsError: no multiplier meets the floors; names the floors that are missed and the closest reached.

    """
    if spec.floors.precision is None and spec.floors.recall is None:
        return Policy.of(spec)
    decided = Decided(
        count=len(spec.classes), actual=actual, assigned=actual, customers=np.zeros_like(actual), weights=weights
    )
    closest: FloorsError | None = None
    for multiplier in _candidates(Policy.of(spec), probabilities):
        policy = Policy.of(spec, multiplier)
        own = replace(decided, assigned=policy.assign(probabilities))
        precision, recall = value_of("precision", own) or 0.0, value_of("recall", own) or 0.0
        if _shortfall(spec.floors, precision, recall) == 0:
            return policy
        found = FloorsError(spec.floors, policy, (precision, recall))
        if closest is None or found.shortfall < closest.shortfall:
            closest = found
    raise closest or FloorsError(spec.floors, Policy.of(spec), (0.0, 0.0))


def _candidates(policy: Policy, probabilities: NDArray[np.float32], most: int = 2000) -> list[float]:
    """List multipliers at which some application stops being assigned the best class, thinned out to `most`."""
    costs, p = np.array(policy.costs), probabilities.astype(np.float64)
    expected = p @ costs
    others = expected[:, :-1].min(axis=1) - p[:, -1] * costs[-1, -1]
    raised = p[:, :-1] @ costs[:-1, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        switches = others / raised
    switches = np.unique(switches[np.isfinite(switches) & (switches > 1)])
    if len(switches) > most:
        switches = switches[np.linspace(0, len(switches) - 1, most).astype(int)]
    return [1.0, *np.nextafter(switches, np.inf).tolist()]


def _shortfall(floors: Floors, precision: float, recall: float) -> float:
    return max(0.0, (floors.precision or 0.0) - precision, (floors.recall or 0.0) - recall)

"""The parity gate: native model against ONNX on golden and adversarial rows. What fails is not written."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from model_export.adversarial import Case, finite
from scoring.policy import Policy

TOLERANCE = 1e-6
_NAMED_ROWS = 5

Predict = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]


def check_parity(
    cases: Sequence[Case],
    native: Predict,
    exported: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    policy: Policy,
    feature_names: Sequence[str],
) -> dict[str, Any]:
    """Return the parity certificate. `native` never sees infinities, which XGBoost refuses: see `finite`.

    Raises:
        ExportError: a probability differs by more than 1e-6, is not finite, or a class differs without a tie in cost.

    """
    worst, ties, failures = 0.0, 0, []
    for case in cases:
        expected, found = native(finite(case.rows)), exported(case.rows)
        difference = np.abs(expected - found).max(axis=1, initial=0)
        other, near_tie = _compare_classes(policy, expected.astype(np.float32), found)
        wrong = ~(difference <= TOLERANCE) | (other & ~near_tie)
        failures += [_describe(case, int(i), float(difference[i]), feature_names) for i in np.flatnonzero(wrong)]
        worst, ties = max(worst, float(difference.max(initial=0))), ties + int((other & near_tie).sum())
    if failures:
        raise ExportError(
            f"parity gate: {len(failures)} rows differ between the model and its ONNX form, so no bundle was written. "
            f"First: {'; '.join(failures[:_NAMED_ROWS])}. The conversion is wrong; report it with the model."
        )
    return {
        "tolerance": TOLERANCE,
        "largest_difference": float(f"{worst:.3g}"),
        "rows": {case.kind: len(case.rows) for case in cases},
        "other_class_at_a_tie": ties,
    }


def _compare_classes(
    policy: Policy, expected: NDArray[np.float32], found: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell where the class differs, and where the two cheapest costs are so close that it may."""
    costs = np.sort(policy.expected_costs(expected), axis=1)
    near_tie = costs[:, 1] - costs[:, 0] < TOLERANCE * max(1.0, float(policy.effective_costs().max()))
    return policy.assign(expected) != policy.assign(found), near_tie


def _describe(case: Case, row: int, difference: float, names: Sequence[str]) -> str:
    feature = case.feature[row]
    where = f" of {names[feature]}" if feature >= 0 else ""
    return f"{case.kind}{where} (row {row}) by {difference:.2g}"

"""Whether the reasons of refused applicants hold, as shares: for the report, frozen in the bundle."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.policy import Policy
from scoring.reasons import Explainer, check_reasons

__all__ = ["reason_figures"]

_MOST_ROWS = 20_000
_MOST_EXAMPLES = 8

Floats = NDArray[np.float32]


def reason_figures(
    explainer: Explainer, matrix: Floats, probabilities: Callable[[Floats], Floats], policy: Policy
) -> dict[str, Any]:
    """Check the reasons of those whom the policy refuses, of 20,000 evenly spread applications at most.

    `examples` are the codes that came first most often: how often, how often putting their features right raised the
    margin, and how often it gave a better class. No customer's row is among them.
    """
    some = matrix[np.unique(np.linspace(0, len(matrix) - 1, min(_MOST_ROWS, len(matrix))).astype(int))]
    assigned = policy.assign(probabilities(some))
    below = assigned < len(policy.classes) - 1
    refused, classes = some[below], assigned[below]
    if not len(refused):
        return {"refused": 0, "examples": []}
    found = check_reasons(explainer, refused, classes)
    better = policy.assign(probabilities(found.after)) > classes
    first = explainer.feature_of[explainer.rank(refused, classes).texts[:, 0]]
    codes = np.array([entry.code for entry in explainer.book.entries])[first]
    names, counts = np.unique(codes, return_counts=True)
    most = names[np.argsort(-counts, kind="stable")][:_MOST_EXAMPLES]
    return {
        "refused": len(refused),
        "contradicting": _share(found.contradicting),
        "weak": _share(found.weak),
        "first_raises_margin": _share(found.risen),
        "first_gives_better_class": _share(better),
        "examples": [
            {
                "code": str(code),
                "first": int((codes == code).sum()),
                "raises_margin": _share(found.risen[codes == code]),
                "better_class": _share(better[codes == code]),
            }
            for code in most
        ],
    }


def _share(rows: NDArray[np.bool_]) -> float:
    return float(f"{rows.mean():.4f}")

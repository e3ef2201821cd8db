"""Whether reasons hold, as examiners ask: none contradicts itself, and putting the first one right moves the decision.

The first reason is put right by setting the features of its code to the medians of the applicants who are rated the
best class, and scoring again. The margin that is explained must then rise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.reasons.explainer import LEAST_RISE, Explainer, Ranked

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found about each refused applicant, by row.

    `contradicting`: a reason names a feature for a value that does not speak against applicants in its own direction.
    `weak`: the one reason is flagged. `risen`: the margin rises where the first reason's features are put right.
    `after`: the matrix with these features set to the medians.
    """

    contradicting: NDArray[np.bool_]
    weak: NDArray[np.bool_]
    risen: NDArray[np.bool_]
    rise: NDArray[np.float64]
    after: Floats


def check_reasons(explainer: Explainer, matrix: Floats, assigned: Classes, judge: Explainer | None = None) -> Checked:
    """Check the reasons of refused applicants; `assigned` are the indices of their classes, none of them the best.

    `judge`: whose directions and medians decide, where they are not the explainer's own (format 2 has none).
    """
    judge, tables = judge or explainer, explainer.tables
    ranked = explainer.rank(matrix, assigned)
    after = judge.put_right(matrix, judge.first_codes(ranked))
    rise = np.zeros(len(matrix))
    for worse in np.unique(assigned).tolist():
        rows = np.flatnonzero(assigned == worse)
        before, then = (tables.totals(m[rows], tables.explained(worse)) for m in (matrix, after))
        rise[rows] = tables.weigh(before - then, worse)
    return Checked(
        contradicting=contradicting(judge, matrix, ranked),
        weak=ranked.weak[:, 0] & (ranked.count > 0),
        risen=rise > LEAST_RISE,
        rise=rise,
        after=after,
    )


def contradicting(judge: Explainer, matrix: Floats, ranked: Ranked) -> NDArray[np.bool_]:
    """Tell which rows have a reason whose feature does not speak against applicants where its value lies."""
    given = np.arange(ranked.texts.shape[1]) < ranked.count[:, None]
    speaks = judge.speaking(matrix).T
    named = np.take_along_axis(speaks, judge.feature_of[ranked.texts], axis=1)
    return np.asarray((given & ~named).any(axis=1), dtype=np.bool_)

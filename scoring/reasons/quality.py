"""Whether reasons hold, as examiners ask: none contradicts itself, and putting the first one right moves the decision.

The first reason is put right by setting the features of its code to the medians of the applicants who are rated the
best class, and scoring again. The margin that is explained must then rise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.reasons.explainer import Explainer, Ranked

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]
_CHUNK_ROWS = 2048


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
    judge = judge or explainer
    ranked = explainer.rank(matrix, assigned)
    after = put_right(judge, matrix, ranked)
    rise = np.zeros(len(matrix))
    for worse in np.unique(assigned).tolist():
        rows = np.flatnonzero(assigned == worse)
        for some in np.array_split(rows, max(1, len(rows) // _CHUNK_ROWS)):
            before = explainer.tables.against(matrix[some], worse).sum(axis=0)
            rise[some] = before - explainer.tables.against(after[some], worse).sum(axis=0)
    return Checked(
        contradicting=contradicting(judge, matrix, ranked),
        weak=ranked.weak[:, 0] & (ranked.count > 0),
        risen=rise > 0,
        rise=rise,
        after=after,
    )


def contradicting(judge: Explainer, matrix: Floats, ranked: Ranked) -> NDArray[np.bool_]:
    """Tell which rows have a reason whose feature does not speak against applicants where its value lies."""
    given = np.arange(ranked.texts.shape[1]) < ranked.count[:, None]
    speaks = judge.speaking(matrix).T
    named = np.take_along_axis(speaks, judge.feature_of[ranked.texts], axis=1)
    return np.asarray((given & ~named).any(axis=1), dtype=np.bool_)


def put_right(judge: Explainer, matrix: Floats, ranked: Ranked) -> Floats:
    """Return the matrix with the features of each row's first code set to the medians of the best-rated."""
    entries = judge.book.entries
    medians = np.array([np.nan if e.median is None else e.median for e in entries], dtype=np.float32)
    codes = np.array([entry.code for entry in entries])
    first = codes[judge.feature_of[ranked.texts[:, 0]]]
    own: Floats = np.where(first[:, None] == codes[None, :], medians[None, :], matrix)
    return own

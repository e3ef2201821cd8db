"""What a bundle needs to give reasons: the dictionary with reference medians, and the proof of the contributions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from features.reason_codes import complete_reasons
from features.spec.contract import Spec
from features.spec.directions import no_event_ends
from model_export.adversarial import Case, finite
from scoring.reasons import FeatureEntry, ReasonBook, ShapTables

TOLERANCE = 1e-5
_NATIVE_ROWS = 150  # of each kind of case: XGBoost takes a third of a millisecond a row
_SAMPLE = 4000
_DIGITS = 4

Floats = NDArray[np.float32]
Contribute = Callable[[Floats], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Applicants:
    """The applications of the training run, `good` those whom the policy rates the best class.

    `directions` are the declared ones, by feature: 1 where more is better, -1 where less is, 0 none; empty: none.
    """

    matrix: Floats
    good: NDArray[np.bool_]
    directions: Sequence[int] = ()


def make_book(spec: Spec, tables: ShapTables, applicants: Applicants, *, margins: bool) -> ReasonBook:
    """Put the spec's texts together with what is frozen of the applicants.

    Values will be compared with the medians of those who are rated the best class; where nobody is, with those of all.
    `margins`: the model's raw scores are log-odds, else probabilities.

    Raises:
        SpecError: a feature has no code.

    """
    matrix, directions = applicants.matrix, applicants.directions
    compared = matrix[applicants.good] if applicants.good.any() else matrix
    sample = matrix[:: max(1, len(matrix) // _SAMPLE)]
    against = sum(tables.against(sample, worse) for worse in range(tables.classes - 1))
    entries, ends = [], no_event_ends(spec, matrix)
    for i, reason in enumerate(complete_reasons(spec)):
        median = _median(compared[:, i])
        direction = directions[i] if len(directions) else 0
        speaks = _without_nothing(_against(sample[:, i], np.asarray(against)[i], median, direction), ends[i])
        entries.append(
            FeatureEntry(
                feature=reason.feature,
                code=reason.code,
                median=median,
                at_median=_at_median(matrix[:, i], median, speaks),
                against=speaks,
                **asdict(reason.texts),
            )
        )
    return ReasonBook(spec.language, "log-odds" if margins else "probability", tuple(entries), put_right=True)


def _median(values: Floats) -> float | None:
    present = values[~np.isnan(values)]
    return float(f"{float(np.median(present)):.{_DIGITS}g}") if len(present) else None


def _at_median(values: Floats, median: float | None, speaks: tuple[str, ...]) -> str:
    """Return how a value at the median reads, if it must: 0 of a count is low, 1 of a flag high."""
    present = values[~np.isnan(values)]
    ends = [] if median is None or not len(present) else [float(present.min()), float(present.max())]
    if median in ends:
        return "low" if median == ends[0] else "high"
    return "low" if "low" in speaks else "high"


def _against(values: Floats, against: NDArray[np.float64], median: float | None, direction: int) -> tuple[str, ...]:
    """Return the states that speak against applicants: one side of the median, by declaration or dependence; missing.

    Dependence: the side on which contributions against the applicants are larger on average, compared with the other
    side, or, where there is none (0 of a count that is mostly 0), with values at the median. Missing speaks where
    the applicants without a value have contributions against them on average.
    """
    point, missing = np.float32(np.nan if median is None else median), np.isnan(values)
    sides = {"high": values > point, "low": values < point}
    speaks = tuple(["missing"] if missing.any() and against[missing].mean() > 0 else [])
    if direction:
        return ("low" if direction > 0 else "high", *speaks)
    at = values == point
    high, low = (against[sides[name]] for name in ("high", "low"))
    high, low = (side if len(side) else against[at] for side in (high, low))
    if not len(high) or not len(low) or high.mean() == low.mean():
        return speaks
    side = "high" if high.mean() > low.mean() else "low"
    return (side, *speaks)


def _without_nothing(speaks: tuple[str, ...], end: int) -> tuple[str, ...]:
    """Leave out "missing" where no event lies at the end of the values that speaks for applicants: no late fee."""
    sides = tuple(state for state in speaks if state != "missing")
    return sides if end and sides and ("high" if end > 0 else "low") not in sides else speaks


def check_contributions(
    cases: Sequence[Case], native: Contribute, raw: Contribute, tables: ShapTables, names: Sequence[str]
) -> dict[str, Any]:
    """Return the certificate of the contributions: equal to the native library's, and adding up to the raw scores.

    `native` gives contributions (rows x features x classes), `raw` raw scores (rows x classes) of the native model.

    Raises:
        ExportError: a contribution differs, or a sum, by more than 1e-5 (for raw scores beyond 1, of the largest).

    """
    sums, gaps = [], []
    for case in cases:
        rows = finite(case.rows)
        expected, found = raw(rows), tables.contributions(rows)
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
        sums.append(np.abs(found.sum(axis=1) + tables.base_values - expected))
        _refuse(sums[-1], allowed, f"contributions do not add up to the model's raw score in rows of kind {case.kind}")
        some = np.unique(np.linspace(0, len(rows) - 1, min(_NATIVE_ROWS, len(rows))).astype(int))
        gaps.append(np.abs(native(rows[some]) - found[some]))
        feature = names[int(gaps[-1].max(axis=(0, 2)).argmax())]
        what = f"the contribution of {feature} differs from the native library's in rows of kind {case.kind}"
        _refuse(gaps[-1], allowed, what)
    return {
        "tolerance": TOLERANCE,
        "native_rows": sum(map(len, gaps)),
        "largest_difference": _largest(gaps),
        "rows": sum(map(len, sums)),
        "largest_sum_difference": _largest(sums),
    }


def _refuse(differences: NDArray[np.float64], allowed: float, what: str) -> None:
    if not (differences <= allowed).all():
        raise ExportError(
            f"parity gate: {what} (by {differences.max():.2g}), so no bundle was written. Report it with the model."
        )


def _largest(differences: list[NDArray[np.float64]]) -> float:
    return float(f"{max(float(d.max(initial=0)) for d in differences):.3g}")

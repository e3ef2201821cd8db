"""What a bundle needs to give reasons: the dictionary with reference medians, and the proof of the contributions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from features.reason_codes import complete_reasons
from features.spec import Spec
from model_export.adversarial import Case, finite
from scoring.reason_book import FeatureEntry, ReasonBook
from scoring.shap_tables import ShapTables

TOLERANCE = 1e-5
_NATIVE_ROWS = 150  # of each kind of case: XGBoost takes a third of a millisecond a row
_SAMPLE = 2000
_DIGITS = 4

Floats = NDArray[np.float32]
Contribute = Callable[[Floats], NDArray[np.float64]]


def make_book(spec: Spec, tables: ShapTables, matrix: Floats, *, margins: bool) -> ReasonBook:
    """Put the spec's texts together with the medians of `matrix`, the applications of the training run.

    `margins`: the model's raw scores are log-odds, else probabilities.

    Raises:
        SpecError: a feature has no code.

    """
    sample = matrix[:: max(1, len(matrix) // _SAMPLE)]
    against = tables.against(sample, 0)
    entries = []
    for i, reason in enumerate(complete_reasons(spec)):
        median, at_median = _reference(matrix[:, i], sample[:, i], against[i])
        entries.append(
            FeatureEntry(
                feature=reason.feature,
                code=reason.code,
                high=reason.texts.high,
                low=reason.texts.low,
                missing=reason.texts.missing,
                median=median,
                at_median=at_median,
            )
        )
    return ReasonBook(spec.language, "log-odds" if margins else "probability", tuple(entries))


def _reference(values: Floats, sample: Floats, against: NDArray[np.float64]) -> tuple[float | None, str]:
    """Return the median, and whether a value at the median reads as high or low.

    The least of all values is low and the greatest high (0 of a count, 1 of a flag). Else it reads as what usually
    speaks against applicants: high, unless contributions fall as the value rises.
    """
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return None, "high"
    median = float(np.median(present))
    rounded = float(f"{median:.{_DIGITS}g}")
    if median in (present.min(), present.max()):
        return rounded, "low" if median == present.min() else "high"
    known = ~np.isnan(sample)
    falls = known.sum() > 1 and _covariance(sample[known], against[known]) < 0
    return rounded, "low" if falls else "high"


def _covariance(a: Floats, b: NDArray[np.float64]) -> float:
    return float(((a - a.mean(dtype=np.float64)) * (b - b.mean())).sum())


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

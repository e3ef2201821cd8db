"""Why a notebook's predictions differ from the loaded model: known causes are tried, and the one that fits is named."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from features.errors import ExportError
from features.spec.contract import Spec
from model_export.adopted.notebook import Expected, Floats, differences, to_probabilities
from model_export.adopted.notebook_inputs import fills, mixed_fill, orders, sentinels
from model_export.trees.lightgbm_trees import FittedLightgbm
from model_export.trees.load import Loaded
from training.fit import Calibration, Fitted, FittedXgboost

_FITS = 0.99  # of the rows that were looked at
_ROWS = 400
_QUICK_ROWS = 60
_PROMISING = 0.9
_MOST_CLASSES = 5
_SAME_RANK = 0.995

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The two sides: the owner's figures, and the feature rows of the same applications, under what export knows.

    `off`: which rows differ.
    """

    expected: Expected
    matrix: Matrix
    off: NDArray[np.bool_]
    names: tuple[str, ...]
    spec: Spec
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class _Cause:
    """What may have happened, and the share of the rows that then agree."""

    text: str
    share: float


def refuse(loaded: Loaded, compared: Compared, largest: Floats) -> ExportError:
    """Make the error for predictions that differ; `largest` are the differences by row."""
    off = compared.off
    head = (
        f"expected predictions: {int(off.sum()):,} of {len(off):,} applications differ from the model of the file, by "
        f"up to {largest.max():.2g}, so no bundle was written."
    )
    shuffled = _other_ids(loaded.model, compared)
    if shuffled:
        return ExportError(f"{head} {shuffled}")
    part = _rows(compared, _sample(off, _ROWS))
    fitting = _fitting(loaded, part)
    return ExportError(f"{head} {fitting or _unknown(compared, off)}")


def _sample(off: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Choose rows that differ and rows that do not, as many of both as there are up to the limit."""
    parts = [np.flatnonzero(off), np.flatnonzero(~off)]
    return np.sort(np.concatenate([p[np.linspace(0, len(p) - 1, min(len(p), most)).astype(int)] for p in parts]))


def _fitting(loaded: Loaded, part: Compared) -> str:
    """Return the texts of the causes that fit best, '' if none does."""
    best: list[_Cause] = []
    for family in (_of_figures, _of_inputs, _of_rounds, _of_mixed_fills):
        found = [cause for cause in family(loaded, part) if cause.share >= _FITS]
        most = max((cause.share for cause in found), default=0.0)
        if most > max((cause.share for cause in best), default=0.0):
            best = [cause for cause in found if cause.share == most]
        if best:
            break
    return " Or: ".join(cause.text for cause in best[:3])


def _share(part: Compared, margins: Floats, *, probabilities: Floats | None = None) -> float:
    """Return the share of the rows that agree; of those that differ now, where the cause does not heal most of them.

    A cause that changes nothing agrees with all others, so it would seem to fit where few differ.
    """
    same = differences(part.expected, margins, probabilities=probabilities) <= part.expected.tolerance
    healed = float(same[part.off].mean()) if part.off.any() else 1.0
    return float(same.mean()) if healed >= _PROMISING else healed


def _first(part: Compared, rows: int) -> Compared:
    """Return rows of both sorts, evenly spread, to look at many causes quickly."""
    return _rows(part, _sample(part.off, rows // 2))


def _rows(part: Compared, some: NDArray[np.int64]) -> Compared:
    expected = replace(part.expected, rows=part.expected.rows[some], values=part.expected.values[some])
    return replace(part, expected=expected, matrix=part.matrix[some], off=part.off[some])


def _of_figures(loaded: Loaded, part: Compared) -> Iterator[_Cause]:
    """Other rounds, other order of classes, calibrated figures: the same inputs, other outputs."""
    margins = loaded.model.margins(part.matrix)
    if loaded.whole is not None:
        used, rounds = loaded.facts["rounds_used"], loaded.facts["rounds_in_file"]
        yield _Cause(
            f"The cause that fits: early stopping. The notebook predicted with all {rounds} rounds, the bundle honours "
            f"best_iteration and uses {used}. Predict with iteration_range=(0, {used}), or, if all rounds are meant, "
            "remove the mark with set_attr(best_iteration=None) and save the model again.",
            _share(part, loaded.whole.margins(part.matrix)),
        )
    for order in _other_orders(margins.shape[1]):
        # column i of the file is what the model says of class order[i]
        named = ", ".join(part.spec.classes[i] for i in order)
        yield _Cause(
            f"The cause that fits: the order of the classes. The columns {', '.join(part.spec.classes)} of the file "
            f"hold what the model says of {named}. Name the columns by the model's own order, worst first.",
            _share(part, margins[:, order]),
        )
    yield from _calibrated(margins, part)


def _other_orders(classes: int) -> list[list[int]]:
    if classes > _MOST_CLASSES:
        return [list(range(classes))[::-1]]
    return [list(order) for order in permutations(range(classes))][1:]


def _calibrated(margins: Floats, part: Compared) -> Iterator[_Cause]:
    bundle = _share(part, margins, probabilities=part.calibration.probabilities(margins))
    yield _Cause(
        "The cause that fits: calibration. The file holds the probabilities of a bundle, after its calibration; they "
        "say nothing about the notebook. Give what predict_proba of the notebook's model returns.",
        bundle,
    )
    if part.expected.are_margins or len(margins) < 30 or part.off.mean() < _PROMISING:  # it changes all
        return
    if np.isin(part.expected.values, (0, 1)).all():
        yield _Cause("The file holds classes, as predict() returns them. Give what predict_proba returns.", 1.0)
        return
    ours = to_probabilities(margins)
    same = min(_rank_correlation(a, b) for a, b in zip(ours.T, part.expected.values.T, strict=True))
    yield _Cause(
        "The cause that fits: calibration. The file's probabilities rank the applications as the model's own do, but "
        "are others, as after a calibration in the notebook (CalibratedClassifierCV, or a correction of class shares). "
        "Give the probabilities before it; `credit export` calibrates by itself.",
        same if same >= _SAME_RANK else 0.0,
    )


def _rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's correlation, equal values in the order of the other side; 0 where one side is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    ranks = [np.lexsort((other.round(6), own.round(6))).argsort() for own, other in ((a, b), (b, a))]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _of_inputs(loaded: Loaded, part: Compared) -> Iterator[_Cause]:
    """Other inputs: `missing` sentinels, fills, another order of the features; with the rounds used and with all."""
    models = [(loaded.model, ""), *([(loaded.whole, " The notebook also used all rounds.")] if loaded.whole else [])]
    few = _first(part, _QUICK_ROWS)
    for model, also in models:
        for family in (sentinels, fills, orders):
            for text, other in family(part.matrix, part.names):
                share = _share(few, model.margins(other(few.matrix)))
                if share >= _PROMISING:
                    share = _share(part, model.margins(other(part.matrix)))
                yield _Cause(f"The cause that fits: {text}{also}", share)


def _of_rounds(loaded: Loaded, part: Compared) -> Iterator[_Cause]:
    """Fewer rounds than the file has: early stopping in the notebook that the file does not know of."""
    whole, few = loaded.whole or loaded.model, _first(part, _QUICK_ROWS)
    if isinstance(whole, FittedXgboost):
        rounds = whole.booster.num_boosted_rounds()
        for used in range(rounds - 1, 0, -1):
            save = f"Save the model with this mark, set_attr(best_iteration={used - 1}), or save only these rounds."
            yield _fewer(used, rounds, save, _share(few, FittedXgboost(whole.booster[:used]).margins(few.matrix)))
    if isinstance(whole, FittedLightgbm):
        for used, margins in enumerate(whole.margins_by_round(few.matrix), 1):
            if used < whole.rounds:
                save = f"Save only these rounds, save_model(num_iteration={used})."
                yield _fewer(used, whole.rounds, save, _share(few, margins))


def _fewer(used: int, rounds: int, save: str, share: float) -> _Cause:
    text = (
        f"The cause that fits: early stopping. The notebook predicted with the first {used} rounds of {rounds}. {save}"
    )
    return _Cause(text, share)


def _of_mixed_fills(loaded: Loaded, part: Compared) -> Iterator[_Cause]:
    """Missing values filled in each column in another way."""

    def off(matrix: Matrix) -> float:
        return float(differences(part.expected, loaded.model.margins(matrix)).sum())

    text, matrix = mixed_fill(part.matrix, part.names, off)
    yield _Cause(f"The cause that fits: {text}", _share(part, loaded.model.margins(matrix)))


def _other_ids(model: Fitted, compared: Compared) -> str:
    """Tell whether the same predictions stand there in another order of applications."""
    off = compared.off
    if off.sum() < 2:
        return ""
    margins = model.margins(compared.matrix[off])
    found = margins if compared.expected.are_margins else to_probabilities(margins)
    ours, theirs = (np.sort(side, axis=0) for side in (found, compared.expected.values[off]))
    if (np.abs(ours - theirs).max(axis=1) <= 2 * compared.expected.tolerance).mean() < _FITS:
        return ""
    return (
        "The cause that fits: other applications. The same predictions are there, but beside other application_ids: "
        "the file was put together in another order. Write application_id from the very rows that were predicted."
    )


def _unknown(compared: Compared, off: NDArray[np.bool_]) -> str:
    """Say what is known where no cause fits."""
    missing = np.isnan(compared.matrix)
    some = missing.any(axis=1)
    text = "No known cause fits: the file's predictions come from another model, or from other features than ours."
    if not some.all() and some.any() and not off[~some].any():
        shares = (missing & off[:, None]).sum(axis=0) / np.maximum(missing.sum(axis=0), 1)
        named = ", ".join(compared.names[i] for i in np.argsort(-shares, kind="stable")[:3] if shares[i] > 0)
        text = (
            "Only applications with missing values differ, so the notebook treated missing values in another way; look "
            f"at {named} first. Leave them missing (NaN)."
        )
    return f"{text} Predict with the saved model on the matrix that `credit features --spec ... --out` writes."

"""Out-of-fold margins, and what comes from them: calibration, policy, and figures that no model cheats at.

Each fold is judged by a model that was grown on the other folds, and by a calibration and a policy that come from the
other folds' margins. The published model is fitted on all rows afterwards and is itself judged on none.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.spec.contract import Spec
from scoring.policy import Policy
from training.choose_policy import FloorsError, choose_policy
from training.data import Examples
from training.evaluate.judged import Judged
from training.fit.calibrate import Calibration, fit_ordinal
from training.fit.fit import Margins
from training.fit.grow import grow, grown
from training.fit.parallel import in_parallel
from training.fit.recipe import Plan
from training.weights import weighted_shares

Folds = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossFit:
    """Out-of-fold margins of all rows, the calibration and policy of all of them, and the rows as they are judged.

    `stated` are the calibrated probabilities on which the policy was chosen.
    """

    margins: Margins
    calibration: Calibration
    policy: Policy
    stated: NDArray[np.float32]
    judged: Judged


def out_of_fold(examples: Examples, plan: Plan, fold_of: Folds, learn: NDArray[np.bool_] | None = None) -> Margins:
    """Return each row's margins by ensembles that were grown on the other folds' rows (of `learn`, where given)."""
    known = np.ones(len(examples), dtype=np.bool_) if learn is None else learn
    margins = np.empty((len(examples), len(plan.ensembles)))

    def one(job: tuple[int, int]) -> None:
        fold, number = job
        own = fold_of == fold
        margins[own, number] = _margins(examples.only(known & ~own), examples.matrix[own], plan, number)

    parts = [(int(fold), number) for fold in np.unique(fold_of) for number in range(len(plan.ensembles))]
    in_parallel(one, parts, threads=plan.in_threads)
    return margins


def fold_margins(examples: Examples, plan: Plan, own: NDArray[np.bool_]) -> Margins:
    """Return the margins of the rows `own` by ensembles that were grown on all others."""
    others, matrix = examples.only(~own), examples.matrix[own]
    numbers = range(len(plan.ensembles))
    return np.column_stack(
        in_parallel(lambda number: _margins(others, matrix, plan, number), numbers, threads=plan.in_threads)
    )


def _margins(learn: Examples, matrix: NDArray[np.float32], plan: Plan, number: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = grown(plan, [grow(learn, plan, number)]).margins(matrix)[:, 0]
    return found


def cross_fit(spec: Spec, examples: Examples, margins: Margins, fold_of: Folds) -> CrossFit:
    """Calibrate and choose the policy on all margins, and judge each fold by those of the other folds.

    Raises:
        FloorsError: no policy meets the spec's floors on all out-of-fold probabilities.

    """
    calibration = fit_ordinal(margins, examples)
    stated = calibration.probabilities(margins).astype(np.float32)
    policy = choose_policy(spec, stated, examples.actual, examples.weights)
    return CrossFit(
        margins=margins,
        calibration=calibration,
        policy=policy,
        stated=stated,
        judged=judge_folds(spec, examples, margins, fold_of),
    )


def judge_folds(
    spec: Spec,
    examples: Examples,
    margins: Margins,
    fold_of: Folds,
    learn: NDArray[np.bool_] | None = None,
) -> Judged:
    """Judge each fold (its rows outside `learn`, where given) by calibration and policy of the other folds."""
    known = np.ones(len(examples), dtype=np.bool_) if learn is None else learn
    wanted = known if learn is None else ~known
    probabilities = np.empty((len(examples), len(spec.classes)), dtype=np.float32)
    decided = np.empty(len(examples), dtype=np.int64)
    for fold in np.unique(fold_of):
        others, own = known & (fold_of != fold), wanted & (fold_of == fold)
        calibration = fit_ordinal(margins[others], examples.only(others))
        probabilities[own] = calibration.probabilities(margins[own])
        stated = calibration.probabilities(margins[others]).astype(np.float32)
        decided[own] = closest_policy(spec, stated, examples.only(others)).assign(probabilities[own])
    everything = fit_ordinal(margins[known], examples.only(known)).probabilities(margins[known]).astype(np.float32)
    learned = examples.only(known)
    policy = closest_policy(spec, everything, learned)
    judged = Judged(
        spec=spec,
        policy=policy,
        examples=examples.only(wanted),
        probabilities=probabilities[wanted],
        prior=weighted_shares(learned.actual, learned.weights, len(spec.classes)),
    )
    bound = spec.floors.precision is not None or spec.floors.recall is not None
    return replace(judged, by_folds=(policy, decided[wanted])) if bound else judged


def closest_policy(spec: Spec, probabilities: NDArray[np.float32], examples: Examples) -> Policy:
    """Return the policy that the floors ask for, or, of models that are not published, the closest to it."""
    try:
        return choose_policy(spec, probabilities, examples.actual, examples.weights)
    except FloorsError as error:
        return error.policy


def floors_missed(spec: Spec, margins: Margins, examples: Examples) -> str | None:
    """Say which floors no policy meets on these margins; None if one does."""
    stated = fit_ordinal(margins, examples).probabilities(margins).astype(np.float32)
    try:
        choose_policy(spec, stated, examples.actual, examples.weights)
    except FloorsError as error:
        return str(error)
    return None

"""Choose the shape and the number of trees of each ensemble by folds."""

from dataclasses import dataclass, replace

import numpy as np
import xgboost
from numpy.typing import NDArray

from training.cross_fit import Folds, out_of_fold
from training.data import Examples
from training.fit import Margins, ModelKind
from training.folds import FEWER_FOLDS, assign_folds, sample_customers
from training.grow import Side, boost, in_parallel, side_of
from training.recipe import FEW, FOREST, SHAPES, TREE, EnsemblePlan, Plan, cap, shape

_CELLS, _LEAST_ROWS, _MOST_ROWS = 2_500_000, 15_000, 60_000  # on which shapes are compared
_PATIENCE, _PATIENT_FROM = 25, 5_000  # a curve of so many held-out rows is smooth enough to stop by

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grown:
    """One ensemble on the rest of one fold: its curve, and what it says about the fold's rows."""

    rows: NDArray[np.intp]
    side: Side
    losses: list[float]
    booster: xgboost.Booster


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A shape with its number of trees and the log loss of each held-out row."""

    plan: EnsemblePlan
    losses: Floats


def choose_plan(examples: Examples, fold_of: Folds, classes: int, bare: Plan) -> tuple[Plan, Margins]:
    """Return `bare` with the ensembles that the folds choose, and the out-of-fold margins that it gives."""
    numbers = range(classes - 1)
    if bare.kind is not ModelKind.XGBOOST:
        forest = bare.kind is ModelKind.RANDOM_FOREST
        fixed = EnsemblePlan(shape="forest" if forest else "tree", parameters=FOREST if forest else TREE)
        plan = replace(bare, ensembles=(fixed,) * len(numbers))
        return plan, out_of_fold(examples, plan, fold_of)
    found = [_Ensemble(examples, number, cap(len(numbers)), bare).choose(fold_of) for number in numbers]
    return replace(bare, ensembles=tuple(plan for plan, _ in found)), np.column_stack([m for _, m in found])


@dataclass(frozen=True, slots=True)
class _Ensemble:
    """One ensemble of at most `trees` trees that is to be planned."""

    examples: Examples
    number: int
    trees: int
    bare: Plan

    def choose(self, fold_of: Folds) -> tuple[EnsemblePlan, Floats]:
        """Return its plan, and its out-of-fold margin of every row."""
        side = side_of(self.examples, self.number)
        names = SHAPES if side.rarer >= FEW else SHAPES[:1]
        most = int(np.clip(_CELLS // side.matrix.shape[1], _LEAST_ROWS, _MOST_ROWS))
        if len(names) > 1 and len(side.better) > 1.2 * most:
            some = self.examples.only(sample_customers(self.examples, most, self.bare.seed))
            sampled = _Ensemble(some, self.number, self.trees, self.bare)
            names = (sampled.compare(names, assign_folds(some, FEWER_FOLDS, self.bare.seed)).plan.shape,)
        grown = self.grow(names, fold_of)
        best = self._best(grown)
        margins = np.empty(len(self.examples))
        for part in grown[best.plan.shape]:
            margins[part.rows] = _margins(part.booster, self.examples.matrix[part.rows], best.plan)
        return best.plan, margins

    def compare(self, names: tuple[str, ...], fold_of: Folds) -> _Candidate:
        """Return the best of these shapes."""
        return self._best(self.grow(names, fold_of))

    def grow(self, names: tuple[str, ...], fold_of: Folds) -> dict[str, list[_Grown]]:
        """Grow each shape on the rest of each fold."""
        rarer = side_of(self.examples, self.number).rarer
        jobs = [(name, int(fold)) for name in names for fold in np.unique(fold_of)]

        def one(job: tuple[str, int]) -> _Grown:
            name, fold = job
            own = fold_of == fold
            side = side_of(self.examples.only(~own), self.number, self.bare)
            held = side_of(self.examples.only(own), self.number)
            parameters = {**shape(name, rarer, self.trees), "rounds": self.trees}
            patience = _PATIENCE if len(held.better) >= _PATIENT_FROM else None
            booster, losses = boost(side, parameters, self.bare.seed, held, patience)
            return _Grown(rows=np.flatnonzero(own), side=held, losses=losses, booster=booster)

        grown = in_parallel(one, jobs)
        return {name: [part for (of, _), part in zip(jobs, grown, strict=True) if of == name] for name in names}

    def _best(self, grown: dict[str, list[_Grown]]) -> _Candidate:
        """Return the first shape, the gentlest first, within half a paired standard error of the best."""
        rarer = side_of(self.examples, self.number).rarer
        candidates = []
        for name, parts in grown.items():
            parameters = {**shape(name, rarer, self.trees), "rounds": _best_rounds(parts)}
            plan = EnsemblePlan(shape=name, parameters=parameters)
            candidates.append(_Candidate(plan=plan, losses=np.concatenate([_row_losses(p, plan) for p in parts])))
        best = min(candidates, key=lambda candidate: float(candidate.losses.sum()))
        customers = np.concatenate(
            [
                self.examples.customers[p.rows][self.examples.actual[p.rows] >= self.number]
                for p in grown[best.plan.shape]
            ]
        )
        return next(c for c in candidates if _as_good(c.losses - best.losses, customers))


def _best_rounds(parts: list[_Grown]) -> int:
    """Return the number of trees of least pooled loss on the held-out rows."""
    known = [part for part in parts if len(part.side.better)]
    rounds = min(len(part.losses) for part in known)
    weights = [float(len(p.side.better) if p.side.weights is None else p.side.weights.sum()) for p in known]
    pooled = sum(w * np.array(part.losses[:rounds]) for w, part in zip(weights, known, strict=True))
    return int(np.argmin(pooled)) + 1


def _margins(booster: xgboost.Booster, matrix: NDArray[np.float32], plan: EnsemblePlan) -> Floats:
    rounds = (0, int(plan.parameters["rounds"]))
    return booster.predict(xgboost.DMatrix(matrix), output_margin=True, iteration_range=rounds).astype(np.float64)


def _row_losses(part: _Grown, plan: EnsemblePlan) -> Floats:
    margins = _margins(part.booster, part.side.matrix, plan)
    losses = np.logaddexp(0, np.where(part.side.better, -margins, margins))
    return losses if part.side.weights is None else losses * part.side.weights


def _as_good(differences: Floats, customers: NDArray[np.int64]) -> bool:
    """Tell whether the mean difference, summed by customer, is within half a standard error of none."""
    _, index = np.unique(customers, return_inverse=True)
    sums = np.bincount(index, differences)
    error = float(np.sqrt(len(sums)) * sums.std())
    return bool(sums.sum() <= 0.5 * error)

"""Choose the shape and the number of trees of each ensemble by folds."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import Examples
from training.fit.boost import Fold, Growth, grow_by_turns, pooled
from training.fit.cross_fit import Folds, out_of_fold
from training.fit.fit import Margins, ModelKind, Parameters
from training.fit.recipe import FEW, FOR_FEW, FOREST, SHAPES, TREE, EnsemblePlan, Plan, cap, shape
from training.fit.side import side_of
from training.folds import FEWER_FOLDS, assign_folds, sample_customers

_CELLS, _LEAST_ROWS, _MOST_ROWS = 2_500_000, 15_000, 60_000  # on which shapes are compared

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A shape with its number of trees and the log loss of each held-out row."""

    plan: EnsemblePlan
    trees: int
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
        names: tuple[str, ...] = SHAPES if side.rarer >= FEW else FOR_FEW
        most = int(np.clip(_CELLS // side.matrix.shape[1], _LEAST_ROWS, _MOST_ROWS))
        if len(names) > 1 and len(side.better) > 1.2 * most:
            some = self.examples.only(sample_customers(self.examples, most, self.bare.seed))
            sampled = _Ensemble(some, self.number, self.trees, self.bare)
            names = (sampled.compare(names, assign_folds(some, FEWER_FOLDS, self.bare.seed)).plan.shape,)
        grown = self.grow(names, fold_of)
        best = self._best(grown)
        margins = np.empty(len(self.examples))
        for part in grown[best.plan.shape]:
            margins[part.fold.rows] = part.margins(self.examples.matrix[part.fold.rows], best.trees)
        return best.plan, margins

    def compare(self, names: tuple[str, ...], fold_of: Folds) -> _Candidate:
        """Return the best of these shapes."""
        return self._best(self.grow(names, fold_of))

    def grow(self, names: tuple[str, ...], fold_of: Folds) -> dict[str, list[Growth]]:
        """Grow each shape on the rest of each fold."""
        folds = [self._fold(fold_of == fold) for fold in np.unique(fold_of)]
        grown = {name: [Growth(fold, self._parameters(name), self.bare.seed) for fold in folds] for name in names}
        grow_by_turns(list(grown.values()))
        return grown

    def _fold(self, own: NDArray[np.bool_]) -> Fold:
        return Fold(
            rows=np.flatnonzero(own),
            held=side_of(self.examples.only(own), self.number),
            learn=side_of(self.examples.only(~own), self.number, self.bare),
        )

    def _parameters(self, name: str) -> Parameters:
        return shape(name, side_of(self.examples, self.number).rarer, self.trees)

    def _best(self, grown: dict[str, list[Growth]]) -> _Candidate:
        """Return the first shape, the gentlest first, within half a paired standard error of the best."""
        candidates = []
        for name, parts in grown.items():
            trees = int(np.argmin(pooled(parts))) + 1
            plan = EnsemblePlan(shape=name, parameters={**self._parameters(name), "rounds": float(trees)})
            losses = np.concatenate([_row_losses(part, trees) for part in parts])
            candidates.append(_Candidate(plan=plan, trees=trees, losses=losses))
        best = min(candidates, key=lambda candidate: float(candidate.losses.sum()))
        customers = np.concatenate(
            [
                self.examples.customers[p.fold.rows][self.examples.actual[p.fold.rows] >= self.number]
                for p in grown[best.plan.shape]
            ]
        )
        return next(c for c in candidates if _as_good(c.losses - best.losses, customers))


def _row_losses(part: Growth, trees: int) -> Floats:
    side = part.fold.held
    margins = part.margins(side.matrix, trees)
    losses = np.logaddexp(0, np.where(side.better, -margins, margins))
    return losses if side.weights is None else losses * side.weights


def _as_good(differences: Floats, customers: NDArray[np.int64]) -> bool:
    """Tell whether the mean difference, summed by customer, is within half a standard error of none."""
    _, index = np.unique(customers, return_inverse=True)
    sums = np.bincount(index, differences)
    error = float(np.sqrt(len(sums)) * sums.std())
    return bool(sums.sum() <= 0.5 * error)

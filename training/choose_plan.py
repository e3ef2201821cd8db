"""Choose the shape and the number of trees of each ensemble by folds."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import Examples
from training.fit.boost import Fold, Growth, grow_by_turns, pooled
from training.fit.calibrate import platt
from training.fit.cross_fit import Folds, out_of_fold
from training.fit.fit import Margins, ModelKind
from training.fit.linear import choose_ridge
from training.fit.recipe import FEW, FOR_FEW, FOREST, RIDGES, SHAPES, TREE, EnsemblePlan, Plan, cap, shape
from training.fit.side import side_of
from training.folds import FEWER_FOLDS, assign_folds, sample_customers

_CELLS, _LEAST_ROWS, _MOST_ROWS = 2_500_000, 15_000, 60_000  # on which shapes are compared

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A shape with its number of trees and the log loss of all held-out rows."""

    plan: EnsemblePlan
    trees: int
    loss: float


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
        rarer = side_of(self.examples, self.number).rarer
        shapes = {name: shape(name, rarer, self.trees) for name in names}
        for parameters in shapes.values():
            if "ridge" in parameters:
                most = min(int(parameters["linear_features"]), self.examples.matrix.shape[1])
                pairs, parameters["linear_features"] = [(fold.learn, fold.held) for fold in folds], most
                parameters["ridge"] = choose_ridge(pairs, RIDGES, most)
        grown = {name: [Growth(fold, shapes[name], self.bare.seed) for fold in folds] for name in names}
        grow_by_turns(list(grown.values()))
        return grown

    def _fold(self, own: NDArray[np.bool_]) -> Fold:
        return Fold(
            rows=np.flatnonzero(own),
            held=side_of(self.examples.only(own), self.number),
            learn=side_of(self.examples.only(~own), self.number, self.bare),
        )

    def _best(self, grown: dict[str, list[Growth]]) -> _Candidate:
        """Return the shape of least log loss.

        Shapes are judged as they are published, calibrated: overconfident margins are no fault of a shape.
        """
        candidates = []
        for name, parts in grown.items():
            trees = int(np.argmin(pooled(parts))) + 1
            plan = EnsemblePlan(shape=name, parameters={**parts[0].parameters, "rounds": float(trees)})
            loss = float(row_losses(parts, trees).sum())
            candidates.append(_Candidate(plan=plan, trees=trees, loss=loss))
        return min(candidates, key=lambda candidate: candidate.loss)


def row_losses(parts: list[Growth], trees: int) -> Floats:
    """Return the log loss of each held-out row, all calibrated together."""
    sides = [part.fold.held for part in parts]
    margins = np.concatenate([part.margins(side.matrix, trees) for part, side in zip(parts, sides, strict=True)])
    better = np.concatenate([side.better for side in sides])
    weights = None if sides[0].weights is None else np.concatenate([side.weights for side in sides])
    slope, offset = platt(margins, better, weights)
    logits = slope * margins + offset
    losses = np.logaddexp(0, np.where(better, -logits, logits))
    return losses if weights is None else losses * weights

"""What `credit train` judges a model by, without an export: for the benchmarks."""

from dataclasses import dataclass

from features.spec.contract import Spec
from training.choose_plan import choose_plan
from training.data import Examples
from training.fit.cross_fit import CrossFit, Folds, cross_fit
from training.fit.fit import ModelKind
from training.fit.recipe import Plan
from training.folds import assign_folds, fold_count


@dataclass(frozen=True, slots=True)
class Run:
    """The plan that folds chose, what it says out of fold, and the folds."""

    plan: Plan
    crossed: CrossFit
    fold_of: Folds


def run_folds(spec: Spec, examples: Examples, kind: ModelKind = ModelKind.XGBOOST, seed: int = 0) -> Run:
    """Choose the plan by folds, and judge each fold by models of the others."""
    folds = fold_count(len(examples))
    fold_of = assign_folds(examples, folds, seed)
    bare = Plan(kind=kind, folds=folds, seed=seed)
    plan, margins = choose_plan(examples, fold_of, len(spec.classes), bare)
    return Run(plan, cross_fit(spec, examples, margins, fold_of), fold_of)

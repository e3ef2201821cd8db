"""What directions cost: the same plan with and without them, on the same folds, paired by customer."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Spec
from metrics import log_losses, paired_by_customer
from training.data import Examples
from training.evaluate.judged import Judged
from training.fit.cross_fit import Folds, judge_folds, out_of_fold
from training.fit.fit import Margins
from training.fit.recipe import Plan
from training.folds import FEWER_FOLDS, assign_folds, sample_customers

ROWS = 4_000  # on which single directions are priced
_MOST_PRICED = 24


def price_directions(spec: Spec, examples: Examples, plan: Plan, fold_of: Folds, margins: Margins) -> dict[str, Any]:
    """Return the price of all directions together and, on a sample of the customers, of each of up to 24 alone.

    A price is what the log loss (and the cost of an application) would be lower by without the direction, with its 95 %
    interval; `margins` are the plan's out of fold.
    """
    bound = judge_folds(spec, examples, margins, fold_of)
    free = judge_folds(spec, examples, out_of_fold(examples, replace(plan, directions=()), fold_of), fold_of)
    some = examples.only(sample_customers(examples, ROWS, plan.seed))
    few_folds = assign_folds(some, FEWER_FOLDS, plan.seed)
    sampled = judge_folds(spec, some, out_of_fold(some, plan, few_folds), few_folds)
    each = []
    for name, columns in list(_named(spec))[:_MOST_PRICED]:
        without = np.where(columns, 0, np.array(plan.directions))
        freed = replace(plan, directions=tuple(without.tolist()) if without.any() else ())
        judged = judge_folds(spec, some, out_of_fold(some, freed, few_folds), few_folds)
        each.append({"name": name, **price(sampled, judged)})
    return {"all": price(bound, free), "each": each, "rows_of_each": len(some)}


def _named(spec: Spec) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the attributes and groups that have a direction, with their columns."""
    sources = np.array([feature.source for feature in list_features(spec)])
    members = [*((a.name, a.direction) for a in spec.attributes), *((g.name, g.direction) for g in spec.groups)]
    for name, direction in members:
        if direction:
            yield name, sources == name


def price(bound: Judged, free: Judged) -> dict[str, Any]:
    """Return how much higher log loss and cost are where directions bind."""
    actual, customers = bound.examples.actual, bound.examples.customers
    losses = log_losses(bound.probabilities, actual) - log_losses(free.probabilities, actual)
    paid, weights = bound.decided.paid - free.decided.paid, bound.examples.weights
    found = {name: paired_by_customer(v, customers, weights) for name, v in {"log_loss": losses, "cost": paid}.items()}
    return {name: {"value": f["gain"], "low": f["low"], "high": f["high"]} for name, f in found.items()}

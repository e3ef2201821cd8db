"""Folds by customer: each customer is held out once, by models that never saw them."""

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from features.spec.contract import Spec
from training.data import Examples, Split, check_no_leak

FOLDS = 5
FEWER_FOLDS = 3
LEAST_OF_A_CLASS = 2  # customers: one fold must hold a class out while the others learn it
_MANY = 50_000  # rows, from which on three folds tell as much


def fold_count(rows: int) -> int:
    """Return how many folds so many rows are parted into."""
    return FEWER_FOLDS if rows > _MANY else FOLDS


def assign_folds(examples: Examples, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row: all rows of a customer in one, every worst class dealt out evenly."""
    order = shuffled_customers(examples, seed)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) % folds
    _, index = np.unique(examples.customers, return_inverse=True)
    found: NDArray[np.int64] = places[index]
    return found


def shuffled_customers(examples: Examples, seed: int) -> NDArray[np.int64]:
    """Return positions in the sorted distinct customers: shuffled, those of one worst class together."""
    customers, index = np.unique(examples.customers, return_inverse=True)
    worst = np.full(len(customers), np.iinfo(np.int64).max)
    np.minimum.at(worst, index, examples.actual)
    shuffled = np.random.default_rng(seed).permutation(len(customers))
    ordered: NDArray[np.int64] = shuffled[np.argsort(worst[shuffled], kind="stable")]
    return ordered


def sample_customers(examples: Examples, rows: int, seed: int) -> NDArray[np.bool_]:
    """Return a mask of about so many rows: every n-th customer of each worst class, with all of their rows."""
    every = max(1, round(len(examples) / rows))
    customers, index = np.unique(examples.customers, return_inverse=True)
    chosen = np.zeros(len(customers), dtype=np.bool_)
    chosen[shuffled_customers(examples, seed)[::every]] = True
    found: NDArray[np.bool_] = chosen[index]
    return found


def hold_out(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples | None]:
    """Set a share of the customers of each class aside, never to be trained on; none where the share is 0."""
    if share == 0:
        return examples, None
    order = shuffled_customers(examples, seed + 1)
    chosen = np.floor(np.arange(1, len(order) + 1) * share) > np.floor(np.arange(len(order)) * share)
    customers, index = np.unique(examples.customers, return_inverse=True)
    held = np.zeros(len(customers), dtype=np.bool_)
    held[order[chosen]] = True
    known, test = examples.only(~held[index]), examples.only(held[index])
    check_no_leak(Split(known, known.only(np.zeros(len(known), dtype=np.bool_)), test))
    return known, test


def check_classes(examples: Examples, spec: Spec) -> None:
    """Check that folds can hold each class out.

    Raises:
        InputError: a class has fewer than two customers.

    """
    rare = [
        name
        for i, name in enumerate(spec.classes)
        if len(np.unique(examples.customers[examples.actual == i])) < LEAST_OF_A_CLASS
    ]
    if rare:
        raise InputError(
            f"labels: {', '.join(rare)} is so rare that fewer than {LEAST_OF_A_CLASS} customers to learn from have an "
            "application of it, so that none can be held out. Give more examples, or leave the class out of the spec."
        )

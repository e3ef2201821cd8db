"""Whoever adds the leaves up, and in which order, gets the same bits: so the own gate cannot refuse for rounding."""

import json

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from training.fit.boost import boost
from training.fit.booster_json import with_exact_leaves
from training.fit.recipe import shape
from training.fit.side import Side


def extreme(name: str, seed: int) -> tuple[xgboost.Booster, xgboost.DMatrix]:
    """Few defaults that a column parts from all others: margins far from 0."""
    x = np.random.default_rng(seed).normal(size=(300, 4)).astype(np.float32)
    side = Side(matrix=x, better=x[:, 0] > -1.3)
    return boost(side, {**shape(name, side.rarer, 200), "rounds": 100}, 0), xgboost.DMatrix(x)


def leaves(booster: xgboost.Booster, data: xgboost.DMatrix) -> NDArray[np.float32]:
    """Rows x trees."""
    trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    nodes = booster.predict(data, pred_leaf=True).astype(int)
    values = [np.array(tree["split_conditions"], np.float32)[nodes[:, i]] for i, tree in enumerate(trees)]
    return np.column_stack(values)


def orders(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.cumsum(values, axis=1)[:, -1], np.cumsum(values[:, ::-1], axis=1)[:, -1]


@pytest.mark.parametrize("name", ["R", "S", "L"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sums_do_not_depend_on_their_order(name: str, seed: int) -> None:
    booster, data = extreme(name, seed)
    forward, backward = orders(leaves(booster, data))
    assert not np.array_equal(forward, backward), "as they were grown, they do"
    exact = with_exact_leaves(booster)
    forward, backward = orders(leaves(exact, data))
    assert np.array_equal(forward, backward)
    assert np.array_equal(forward, exact.predict(data, output_margin=True))

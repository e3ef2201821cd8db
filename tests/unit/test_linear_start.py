"""A linear start: what its trees state, that directions bind it, and that small linear books do not lose by trees."""

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.against_plain import now
from benchmarks.generated import BOOKS, Book, generate
from metrics import log_losses
from model_export.trees.trees import from_xgboost
from training.choose_plan import row_losses
from training.data import Examples
from training.fit.boost import Fold, Growth, boost, pooled
from training.fit.fit import Parameters
from training.fit.linear import choose_ridge, fit_linear
from training.fit.recipe import RIDGES, shape
from training.fit.side import Side, side_of

ROWS = 600


def drawn(seed: int, directions: tuple[int, ...] = ()) -> Side:
    """Numbers, a flag, a count, one constant, one that is always missing; some cells missing."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(ROWS, 7)).astype(np.float32)
    x[:, 1] = x[:, 1] > 0.5
    x[:, 2] = np.rint(np.exp(x[:, 2]))
    better = x[:, 0] - x[:, 1] + 0.3 * x[:, 3] + generator.logistic(size=ROWS) > 0
    x[:, 4] = 3
    x[:, :4][generator.random((ROWS, 4)) < 0.1] = np.nan
    x[:, 5] = np.nan
    x[:3, 6] = np.nan  # few: they stand at the median
    return Side(matrix=x, better=better, directions=directions)


def plan(rounds: int) -> Parameters:
    return {**shape("R", 200, 200), "rounds": rounds, "linear_features": 7}


@pytest.mark.parametrize("seed", range(5))
def test_the_trees_of_a_start_state_its_margins(seed: int) -> None:
    side = drawn(seed)
    start, booster = fit_linear(side, 3.0, 7), boost(side, plan(12), 0)
    data = xgboost.DMatrix(side.matrix)
    stated = booster.predict(data, output_margin=True, iteration_range=(0, 7))
    assert np.abs(stated - start.margins(side.matrix)).max() < 1e-5
    parts = booster.predict(data, pred_contribs=True)
    assert np.abs(parts.sum(axis=1) - booster.predict(data, output_margin=True)).max() < 1e-5
    assert len(from_xgboost(booster).trees) == 7 + 12 + 1


def test_a_missing_value_has_its_own_part_where_enough_are_missing() -> None:
    found = fit_linear(drawn(1), 3.0, 7).parts
    assert found[0].tells_missing
    assert found[0].missing not in found[0].values
    assert not found[6].tells_missing
    assert found[6].missing == found[6].values[found[6].place]


@pytest.mark.parametrize("sign", [1, -1])
def test_directions_bind_the_start(sign: int) -> None:
    side = drawn(2, (sign,) * 7)
    parts = fit_linear(side, 3.0, 7).parts.values()
    assert all((np.diff(part.values) * sign >= 0).all() for part in parts)
    free = fit_linear(drawn(2), 3.0, 7).parts.values()
    assert not all((np.diff(part.values) * sign >= 0).all() for part in free), "else nothing was bound"


def test_the_features_that_move_most_are_kept() -> None:
    assert {0, 1} <= set(fit_linear(drawn(3), 3.0, 3).parts)
    assert len(fit_linear(drawn(3), 3.0, 3).parts) == 3


def test_an_outcome_that_nobody_has_gives_a_constant() -> None:
    side = drawn(4)
    alone = Side(matrix=side.matrix, better=np.ones(ROWS, dtype=np.bool_))
    assert fit_linear(alone, 3.0, 7).margins(side.matrix).std() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["R", "S", "L"])
def test_a_booster_that_grows_by_turns_has_the_bits_of_one_that_grows_alone(name: str) -> None:
    side = drawn(5)
    parameters = {**shape(name, 200, 200), **({"linear_features": 7} if name == "R" else {})}
    fold = Fold(rows=np.arange(ROWS), held=side, learn=side)
    turns = [Growth(fold, parameters, 0), Growth(fold, parameters, 0)]
    for _ in range(3):
        for growth in turns:
            growth.grow(10)
    alone = boost(side, {**parameters, "rounds": 30}, 0).predict(xgboost.DMatrix(side.matrix), output_margin=True)
    assert np.array_equal(turns[0].margins(side.matrix, 30), turns[1].margins(side.matrix, 30))
    assert np.abs(turns[0].margins(side.matrix, 30) - alone).max() < 1e-5


def _regression(
    matrix: NDArray[np.float32], actual: NDArray[np.int64], asked: NDArray[np.float32]
) -> NDArray[np.float64]:
    found: NDArray[np.float64] = LogisticRegression(max_iter=1000).fit(matrix, actual).predict_proba(asked)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("small, linear", 901), ("few defaults, linear", 902)])
def test_a_small_linear_book_does_not_lose_against_logistic_regression(name: str, seed: int) -> None:
    book = BOOKS[name]
    examples = generate(Book(book.rows + 4000, book.features, book.shares, book.score, book.noise), seed)
    known = np.isin(np.arange(len(examples)), np.random.default_rng(seed).permutation(len(examples))[: book.rows])
    learn, test = examples.only(known), examples.only(~known)
    ours = log_losses(now(learn, test.matrix), test.actual).mean()
    theirs = log_losses(_regression(learn.matrix, learn.actual, test.matrix), test.actual).mean()
    assert ours < theirs + 0.01


def categories(rows: int, seed: int) -> Examples:
    """Twelve unordered attributes of six values each, as indicators; most of the 72 say little."""
    generator = np.random.default_rng(seed)
    effects = 0.5 * np.random.default_rng(6).normal(size=(12, 6)) * (np.arange(12) < 8)[:, None]
    values = generator.integers(0, 6, (rows, 12))
    better = effects[np.arange(12), values].sum(axis=1) + 0.9 + generator.logistic(size=rows) > 0
    matrix = (values[:, :, None] == np.arange(6)).reshape(rows, -1).astype(np.float32)
    numbers = np.arange(rows)
    return Examples(matrix=matrix, actual=better.astype(np.int64), customers=numbers, as_of=np.zeros_like(numbers))


def test_a_small_book_of_many_categories_gets_a_strong_ridge_and_a_large_one_the_weakest() -> None:
    parts = [(side_of(categories(700, seed), 0), side_of(categories(300, seed + 10), 0)) for seed in range(2)]
    assert choose_ridge(parts, RIDGES, 72) >= 10
    large = [(parts[0][0], side_of(categories(11_000, 5), 0))]
    assert choose_ridge(large, RIDGES, 72) == RIDGES[0]


def test_shapes_are_compared_as_they_are_published_calibrated() -> None:
    learn, held = side_of(categories(700, 1), 0), side_of(categories(300, 2), 0)
    fold = Fold(rows=np.arange(300), held=held, learn=learn)
    steep = Growth(fold, {**shape("L", 200, 200), "learning_rate": 0.5}, 0)
    steep.grow(30)
    assert row_losses([steep], 30).mean() < pooled([steep])[-1] - 0.05, "overconfident margins are no fault"


@pytest.mark.slow
def test_a_small_book_of_many_categories_does_not_lose_against_logistic_regression() -> None:
    differences = []
    for seed in (0, 1, 2):
        learn, test = categories(700, seed), categories(6_000, 100 + seed)
        stated = now(learn, test.matrix), _regression(learn.matrix, learn.actual, test.matrix)
        losses = [float(log_losses(p, test.actual).mean()) for p in stated]
        aucs = [float(roc_auc_score(test.actual, p[:, 1])) for p in stated]
        differences.append((losses[0] - losses[1], aucs[0] - aucs[1]))
    loss, auc = np.mean(differences, axis=0)
    assert loss < 0, differences
    assert auc > -0.003, differences

"""The same application gets the same bits: alone, among others, shuffled, in threads and twice in a row."""

import hashlib
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from features.matrix import build_features
from features.spec.contract import ScoreScaling
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.decisions import credit_scores
from scoring.scorer import Scorer


@pytest.fixture(scope="module")
def everyone() -> Dataset:
    return synthetic(50_000, seed=11)


def bits(decisions: pl.DataFrame) -> pl.DataFrame:
    """Decisions by id, floats as the bits that they are."""
    return decisions.with_columns(pl.col(pl.Float32).reinterpret(signed=False)).sort("application_id")


def own_events(events: pl.DataFrame, applications: pl.DataFrame) -> pl.DataFrame:
    return events.join(applications, on="customer_id", how="semi")


@pytest.mark.slow
def test_alone_among_seven_among_100_000_and_shuffled(scorer: Scorer, everyone: Dataset) -> None:
    together = scorer.score(everyone.applications, everyone.events).decisions
    assert together.height > 99_000
    expected = bits(together)
    chosen = everyone.applications.filter(
        pl.col("application_id").is_in(together["application_id"].implode())
    ).gather_every(7001)
    for i in range(chosen.height):
        one = chosen[i : i + 1]
        alone = bits(scorer.score(one, own_events(everyone.events, one)).decisions)
        assert alone.equals(expected.join(one, on="application_id", how="semi"))
    seven = chosen.head(7)
    assert bits(scorer.score(seven, everyone.events).decisions).equals(
        expected.join(seven, on="application_id", how="semi")
    )
    shuffled = scorer.score(
        everyone.applications.sample(fraction=1, shuffle=True, seed=1),
        everyone.events.sample(fraction=1, shuffle=True, seed=2),
    )
    assert bits(shuffled.decisions).equals(expected)


@pytest.mark.slow
def test_two_threads_and_two_callers_give_the_same_bits(scorer: Scorer, everyone: Dataset) -> None:
    once = scorer.score(everyone.applications, everyone.events).decisions
    assert Scorer(scorer.bundle, threads=2).score(everyone.applications, everyone.events).decisions.equals(once)
    some = everyone.applications.head(500)
    expected = scorer.score(some, everyone.events).decisions
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: scorer.score(some, everyone.events).decisions, range(8)):
            assert result.equals(expected)


@pytest.mark.slow
def test_decisions_and_rejects_account_for_every_row_in_input_order(scorer: Scorer, everyone: Dataset) -> None:
    scored = scorer.score(everyone.applications, everyone.events)
    assert scored.decisions.height + scored.rejects.height == everyone.applications.height
    kept = everyone.applications.filter(pl.col("application_id").is_in(scored.decisions["application_id"].implode()))
    assert scored.decisions["application_id"].equals(kept["application_id"])
    p = scored.decisions.select("p_poor", "p_standard", "p_good").to_numpy()
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-6


def test_the_decision_id_can_be_computed_by_anyone(scorer: Scorer, everyone: Dataset) -> None:
    one = everyone.applications.head(1)
    (decision,) = scorer.score(one, everyone.events).decisions.to_dicts()
    table = build_features(one, everyone.events, scorer.bundle.spec)
    application, customer = (decision[name].encode() for name in ("application_id", "customer_id"))
    content = struct.pack("<I", len(application)) + application + struct.pack("<I", len(customer)) + customer
    content += struct.pack("<q", table.applications["as_of"][0]) + table.matrix[0].astype("<f4").tobytes()
    assert decision["decision_id"] == hashlib.sha256(content + bytes.fromhex(decision["bundle_id"])).hexdigest()


def test_no_application_at_all_is_no_error(scorer: Scorer, everyone: Dataset) -> None:
    scored = scorer.score(everyone.applications.head(0), everyone.events.head(0))
    assert scored.decisions.height == scored.rejects.height == 0


def test_points_follow_the_scorecard_formula() -> None:
    scaling = ScoreScaling(base_score=600, base_odds=2, points_to_double_odds=50)
    p = np.array([1 / 3, 1 / 5, 1 / 2, 0, 1], dtype=np.float32)
    assert credit_scores(p, scaling).tolist() == [600, 650, 550, 850, 300]

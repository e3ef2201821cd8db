"""Formulas of drift against scipy, scikit-learn's cousins by hand, and simulation."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, norm

from metrics import Sums, monitored, variance
from monitoring.divergence import (
    Size,
    chi_square_quantile,
    jensen_shannon,
    jensen_shannon_band,
    normal_quantile,
    psi,
    psi_band,
    rate_band,
)
from scoring.bundle.bins import Item, count, design_effect, place, quantile_edges
from scoring.lookup import Lookup


def test_jensen_shannon_equals_scipy() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        p, q = generator.integers(0, 50, 8), generator.integers(0, 50, 8)
        assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-9)


def test_psi_is_the_sum_that_it_says_and_finite_where_a_bin_is_empty() -> None:
    p, q = np.array([1000, 2000, 7000]), np.array([2000, 2000, 6000])
    by_hand = sum((b / 10_000 - a / 10_000) * np.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi(p, q) == pytest.approx(by_hand, abs=1e-4)
    assert psi(p, q) == pytest.approx(psi(q, p))
    assert 0 < psi(np.array([0, 100]), np.array([50, 50])) < 10


@pytest.mark.parametrize("degrees", [1, 2, 3, 6, 9, 30])
@pytest.mark.parametrize("alpha", [0.1, 0.01, 1e-4, 1e-6])
def test_quantiles_equal_scipys(degrees: int, alpha: float) -> None:
    assert chi_square_quantile(degrees, alpha) == pytest.approx(chi2.isf(alpha, degrees), rel=1e-6)
    assert normal_quantile(alpha) == pytest.approx(norm.isf(alpha), rel=1e-6)


def test_without_drift_psi_and_rates_leave_their_bands_as_often_as_they_say() -> None:
    generator, shares = np.random.default_rng(1), np.array([0.1, 0.2, 0.3, 0.05, 0.35])
    band = psi_band(5, 0.05, Size(2000), Size(500))
    pairs = [(generator.multinomial(2000, shares), generator.multinomial(500, shares)) for _ in range(2000)]
    assert 0.035 < np.mean([psi(*pair) > band for pair in pairs]) < 0.065
    distances = [jensen_shannon(*pair) > jensen_shannon_band(band) for pair in pairs]
    assert 0.035 < np.mean(distances) < 0.065
    outside = []
    for _ in range(2000):
        before, now = generator.binomial(2000, 0.04) / 2000, generator.binomial(500, 0.04) / 500
        low, high = rate_band(before, 0.05, Size(2000), Size(500))
        outside.append(not low <= now <= high)
    assert 0.03 < np.mean(outside) < 0.07


def test_rows_of_one_customer_count_as_few_as_they_are() -> None:
    generator = np.random.default_rng(2)
    alike, alone = generator.integers(0, 4, 500), generator.integers(0, 4, 2000)
    customers = np.repeat(np.arange(500), 4)
    assert design_effect(np.repeat(alike, 4), 4, customers) == pytest.approx(4, rel=0.05)
    assert design_effect(alone, 4, customers) == pytest.approx(1, abs=0.2)
    assert design_effect(alone, 4, np.arange(2000)) == 1


def test_counting_and_placing_agree_with_a_plain_loop() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(size=3000).round(1).astype(np.float32)
    values[::17] = np.nan
    edges = quantile_edges(values)
    item = Item(
        name="x",
        columns=(0,),
        edges=edges,
        values=(),
        counts=(0,) * (len(edges) + 1),
        missing=0,
        design_effect=1,
        missing_design_effect=1,
        importance=0,
    )
    wanted = [0] * (len(edges) + 2)
    for value in values.tolist():
        wanted[len(edges) + 1 if value != value else sum(value > edge for edge in edges)] += 1  # noqa: PLR0124 - NaN
    assert count(item, [values]).tolist() == wanted
    assert np.bincount(place(item, [values]), minlength=len(wanted)).tolist() == wanted
    assert quantile_edges(np.full(9, 5, dtype=np.float32))[-1] == 5, "a constant has a bin of its own"
    assert quantile_edges(np.full(9, np.nan, dtype=np.float32)) == ()


def test_estimates_have_the_variance_that_simulated_outcomes_show() -> None:
    generator, costs = np.random.default_rng(4), np.array([[0.0, 30, 400], [20, 0, 120], [500, 200, 0]])
    p = generator.dirichlet((1, 2, 1.5), 3000)
    assigned = p.argmax(axis=1)
    sums = Sums.of(p, assigned)
    seen: dict[str, list[float | None]] = {name: [] for name in monitored(np.ones((3, 3)), costs)}
    for _ in range(400):
        actual = (generator.random(3000)[:, None] > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        table = np.zeros((3, 3))
        np.add.at(table, (actual, assigned), 1)
        for name, found in monitored(table, costs).items():
            seen[name].append(found.value)
    for name, linear in monitored(sums.confusion, costs).items():
        assert np.mean(np.array(seen[name], dtype=float)) == pytest.approx(
            linear.value, abs=0.02 * max(1, linear.value or 0)
        ), name
        assert np.std(np.array(seen[name], dtype=float)) == pytest.approx(np.sqrt(variance(linear, sums)), rel=0.15), (
            name
        )


def test_lookups_find_positions() -> None:
    import polars as pl  # noqa: PLC0415

    found = Lookup(pl.Series(["b", "a", "c"])).find(pl.Series(["a", "x", "c", "b"]))
    assert found.tolist() == [1, -1, 2, 0]
    assert Lookup(pl.Series([], dtype=pl.String)).find(pl.Series(["a"])).tolist() == [-1]


def test_no_band_reaches_beyond_the_largest_distance() -> None:
    assert jensen_shannon_band(0.02) < 0.1
    assert jensen_shannon_band(30.0) == 1

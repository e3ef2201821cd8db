"""A thousand ordinary nights are not called extraordinary, and a tenth of the customers that is lost is.

On counts, not on files: what batch and live doors compare is counts.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from features.rejects import APPLICATIONS, Dirt
from features.rfm.matches import Matches
from scoring.bundle.bins import Item
from scoring.bundle.reference import ColumnHealth, Outputs, Reference
from scoring.health import Finding, compare_columns, compare_matches
from scoring.shortfall import Share, log_chance, log_tail

COLUMNS = 30
CAUSES = ("missing", "out_of_range", "unreadable")
NOTHING = Outputs(
    score_edges=(),
    score_counts=(),
    score_design_effect=1.0,
    class_counts=(),
    class_design_effect=1.0,
    claims={},
    excess_log_loss=0.0,
    excess_error=0.0,
    gaps=(),
    gap_errors=(),
)


class Lender:
    """Customers, some of whom have events, and columns of which some cells are unusable, alike for one customer."""

    def __init__(self, generator: np.random.Generator, match_rate: float, scatter: float = 0.0) -> None:
        self._generator, self._rate, self._scatter = generator, match_rate, scatter
        usable = generator.choice([0.02, 0.3, 0.8, 0.97, 0.999, 1.0], COLUMNS)
        split = generator.dirichlet(np.ones(len(CAUSES)), COLUMNS)
        self._causes = (1 - usable)[:, None] * split

    def night(self, customers: int, lost: float = 0.0) -> tuple[Matches, list[Dirt]]:
        """Draw a night: one to three applications a customer, which share what their customer has."""
        per = self._generator.multinomial(customers, [0.6, 0.3, 0.1])
        matched = self._generator.binomial(per, self._share(self._rate) * (1 - lost))
        applications = int(per @ [1, 2, 3])
        counts = Matches(
            applications=applications,
            matched_applications=int(matched @ [1, 2, 3]),
            recent_applications=int(matched @ [1, 2, 3]),
            customers=customers,
            matched_customers=int(matched.sum()),
        )
        return counts, list(self._dirt(per))

    def _share(self, rate: float) -> float:
        return float(np.clip(rate * self._generator.normal(1, self._scatter), 0, 1)) if self._scatter else rate

    def _dirt(self, per: np.ndarray) -> Iterator[Dirt]:
        for number, causes in enumerate(self._causes):
            found = [self._generator.multinomial(n, [*causes, 1 - causes.sum()])[:-1] for n in per]
            for cause, cells in zip(CAUSES, np.array([1, 2, 3]) @ np.array(found), strict=True):
                if cells:
                    yield APPLICATIONS, f"c{number}", cause, int(cells)


def frozen(matches: Matches, dirt: list[Dirt]) -> Reference:
    """Freeze a training as the export does. All columns carry weight."""
    unusable: dict[str, dict[str, int]] = {f"c{i}": {} for i in range(COLUMNS)}
    for _, column, cause, cells in dirt:
        unusable[column][cause] = cells
    health = [
        ColumnHealth(
            column=name, cells=matches.applications, customers=matches.customers, unusable=causes, importance=1.0
        )
        for name, causes in unusable.items()
    ]
    items: tuple[Item, ...] = ()
    return Reference(
        rows=matches.applications,
        customers=matches.customers,
        first="",
        last="",
        items=items,
        dirt=(),
        outputs=NOTHING,
        matches=matches,
        health=tuple(health),
    )


def findings(reference: Reference, matches: Matches, dirt: list[Dirt]) -> list[Finding]:
    found = compare_matches(reference, matches)
    return [*([found] if found else []), *compare_columns(reference, matches, dirt)]


@pytest.mark.parametrize("scatter", [0.0, 0.01], ids=["drawn from one urn", "shares scatter by a hundredth"])
@pytest.mark.slow
def test_a_thousand_ordinary_nights_are_not_refused_and_seldom_warned_of(scatter: float) -> None:
    generator = np.random.default_rng(14)
    refused = warned = 0
    for _ in range(1000):
        lender = Lender(generator, generator.uniform(0.02, 0.99), scatter)
        reference = frozen(*lender.night(round(10 ** generator.uniform(math.log10(300), 5))))
        found = findings(reference, *lender.night(round(10 ** generator.uniform(math.log10(3), 5))))
        refused += any(finding.gone for finding in found)
        warned += bool(found)
    assert refused == 0
    assert warned <= 5


@pytest.mark.parametrize(
    ("rate", "training"), [(0.99, 1000), (0.85, 1000), (0.55, 5000), (0.45, 20_000), (0.4, 50_000)]
)
def test_a_tenth_of_the_customers_that_is_lost_is_warned_of(rate: float, training: int) -> None:
    generator = np.random.default_rng(15)
    lender = Lender(generator, rate)
    warned = 0
    for _ in range(200):
        reference = frozen(*lender.night(training))
        warned += compare_matches(reference, lender.night(5000, lost=0.1)[0]) is not None
    assert warned >= 190


@pytest.mark.parametrize(
    ("rate", "training", "tonight"),
    [(0.99, 300, 12), (0.9, 300, 30), (0.5, 1000, 60), (0.1, 5000, 500), (0.02, 5000, 3000)],
)
def test_nobody_matching_is_gone(rate: float, training: int, tonight: int) -> None:
    lender = Lender(np.random.default_rng(16), rate)
    found = compare_matches(frozen(*lender.night(training)), lender.night(tonight, lost=1.0)[0])
    assert found is not None
    assert found.gone


def test_nights_of_a_large_lender_scatter_by_more_than_its_customers_would() -> None:
    """Ten million customers a night: shares that scatter by 3 in 1,000 would all be improbable draws from one urn."""
    generator = np.random.default_rng(20)
    for rate in generator.uniform(0.02, 0.99, 100):
        lender = Lender(generator, rate, scatter=0.003)
        reference = frozen(*lender.night(10_000_000))
        assert compare_matches(reference, lender.night(10_000_000)[0]) is None


def test_a_handful_of_customers_never_ends_a_night() -> None:
    lender = Lender(np.random.default_rng(17), 1.0)
    reference = frozen(*lender.night(100_000))
    for customers in range(1, 10):
        found = compare_matches(reference, lender.night(customers, lost=1.0)[0])
        assert found is None or not found.gone


def test_what_chance_may_explain_once_in_a_million_is_warned_of_and_never_gone() -> None:
    """Of 14 customers half match at training and nobody tonight: once in 16,000 nights, and there are many nights."""
    lender = Lender(np.random.default_rng(19), 0.5)
    reference = frozen(*lender.night(50_000))
    found = compare_matches(reference, lender.night(14, lost=1.0)[0])
    assert found is not None
    assert not found.gone
    # So of a column that is usable in half of the cells.
    assert not judged(training={"missing": 4500}, tonight={"missing": 14}, cells=14).gone
    assert judged(training={"missing": 4500}, tonight={"missing": 30}, cells=30).gone


def judged(*, training: Mapping[str, int], tonight: Mapping[str, int], cells: int = 5000) -> Finding:
    """What is said of a column of 9,000 cells at training, of as many customers as cells, by its unusable cells."""
    health = ColumnHealth(column="c", cells=9000, customers=9000, unusable=dict(training), importance=1.0)
    reference = replace(frozen(*Lender(np.random.default_rng(20), 0.5).night(300)), health=(health,))
    lost = [(APPLICATIONS, "c", cause, count) for cause, count in tonight.items()]
    (column,) = compare_columns(reference, Matches(applications=cells, customers=cells), lost)
    return column


def test_a_column_that_was_sparse_at_training_is_warned_of_and_never_gone() -> None:
    assert not judged(training={"missing": 7300}, tonight={"missing": 5000}).gone
    assert judged(training={"missing": 7100}, tonight={"missing": 5000}).gone


def test_a_cause_that_is_new_is_said_although_more_cells_are_usable_than_before() -> None:
    column = judged(training={"missing": 2700}, tonight={"unreadable": 1000})
    assert "80.0% of its cells are free of unreadable, 100.0% at training" in column.text
    assert not column.gone


def test_one_customer_of_many_applications_is_one_customer() -> None:
    reference = frozen(*Lender(np.random.default_rng(22), 0.9).night(5000))
    ordinary = Matches(
        applications=1500, matched_applications=450, recent_applications=450, customers=501, matched_customers=450
    )
    assert compare_matches(reference, replace(ordinary, recent_applications=1350)) is None
    assert compare_matches(reference, replace(ordinary, matched_customers=150)) is not None


def test_a_training_without_matches_is_nothing_to_compare_with() -> None:
    lender = Lender(np.random.default_rng(18), 0.0)
    assert compare_matches(frozen(*lender.night(5000)), lender.night(5000)[0]) is None


@pytest.mark.parametrize(("most", "draws", "a", "b"), [(0, 30, 3, 2), (7, 30, 20, 5), (29, 30, 5, 9), (4, 40, 1, 1)])
def test_the_tail_is_the_sum_of_exact_terms(most: int, draws: int, a: int, b: int) -> None:
    def beta(x: int, y: int) -> Fraction:
        return Fraction(math.factorial(x - 1) * math.factorial(y - 1), math.factorial(x + y - 1))

    exact = sum(math.comb(draws, k) * beta(k + a, draws - k + b) / beta(a, b) for k in range(most + 1))
    assert log_tail(most, draws, a, b) == pytest.approx(math.log(exact), rel=1e-9, abs=1e-12)


def test_the_chance_falls_with_the_share_and_is_none_without_customers() -> None:
    training = Share(900, 1000, 1000)
    chances = [log_chance(training, Share(good, 500, 500)) for good in range(0, 501, 25)]
    assert chances == sorted(chances)
    assert chances[-1] == 0.0
    assert log_chance(training, Share(0, 0, 0)) == 0.0 == log_chance(Share(0, 0, 0), training)

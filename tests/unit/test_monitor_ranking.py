"""Once outcomes are known, the monitor tells AUC, Gini and KS of each period, with intervals by customer."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from monitoring.nightly.truth import Cohort, Evidence, Labelled, Yardstick, cohort
from monitoring.page.page_performance import _ranking
from scoring.bundle.folder import read_bundle
from scoring.bundle.reference import read_reference
from tests.conftest import PROJECT

BUNDLE = next((PROJECT / "tests" / "formats" / "2" / "bundles").iterdir())


def _rows(rows: int = 400, sense: float = 4.0) -> Labelled:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(3), rows).astype(np.float32)
    actual = np.digitize(p[:, 2] - p[:, 0] + generator.normal(size=rows) / sense, [-0.3, 0.3])
    return Labelled(
        probabilities=p,
        assigned=p.argmax(axis=1),
        actual=actual,
        customers=np.arange(rows) // 2,
        periods=np.zeros(rows, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def yardstick() -> Yardstick:
    bundle = read_bundle(BUNDLE)
    return Yardstick(reference=read_reference(bundle), costs=np.array(bundle.policy.costs))


def _cohort(rows: Labelled, yardstick: Yardstick) -> Cohort:
    return cohort("2026-01", Evidence(rows, yardstick), 1)


def test_a_cohort_is_ranked_as_scikit_learn_ranks_it(yardstick: Yardstick) -> None:
    rows = _rows()
    found = _cohort(rows, yardstick).ranking
    assert list(found) == ["auc", "gini", "ks"]
    wanted = roc_auc_score(rows.actual == 2, rows.probabilities[:, 2])
    assert found["auc"]["value"] == pytest.approx(wanted, abs=1e-6)
    assert found["gini"]["value"] == pytest.approx(2 * wanted - 1, abs=2e-6)
    low, high = found["auc"]["low"], found["auc"]["high"]
    assert low is not None
    assert high is not None
    assert low < wanted < high
    assert 0.02 < high - low < 0.2


def test_without_outcomes_of_those_turned_down_nothing_is_ranked(yardstick: Yardstick) -> None:
    assert _cohort(_rows(), replace(yardstick, refused_unknown=True)).ranking == {}


def test_one_class_alone_cannot_be_ranked_and_the_page_says_so(yardstick: Yardstick) -> None:
    rows = _rows(60)
    same = replace(rows, actual=np.full(60, 2))
    ranking = _cohort(same, yardstick).ranking
    assert ranking["auc"] == {"value": None, "low": None, "high": None}
    periods = [
        {"where": "2026-01", "ranking": _cohort(rows, yardstick).ranking},
        {"where": "2026-02", "ranking": ranking},
        {"where": "2026-03", "ranking": {}},
    ]
    page = _ranking(
        {
            "classes": ["Poor", "Standard", "Good"],
            "outcomes": {"cohorts": periods},
            "reference": {"ranking": {"auc": {"value": 0.8, "low": 0.75, "high": 0.85}}},
        }
    )
    assert "AUC of Good against the rest" in page
    assert "0.8000<small>0.7500 to 0.8500</small>" in page
    assert page.count("not known") == 2 + 3
    assert "2026-03" not in page
    assert _ranking({"outcomes": {"cohorts": periods[2:]}}) == ""

"""Noise is not shown as news: shares that did not change are not ranked, and bands of chance leave plots readable."""

from dataclasses import replace

import pytest

from monitoring.divergence import Size
from monitoring.nightly.finding import WHOLE, Finding, Kind, ranked, rate
from pages.monitor_plots import axis_end, ranking
from training.report.plots import limits


def missing(before: int, now: int, name: str = "income") -> Finding:
    found = rate(Kind.MISSING, (before, now), (Size(100_000), Size(20_000)), 0.001)
    return replace(found, name=name, where=WHOLE, weight=1.0)


@pytest.mark.parametrize(("before", "now"), [(0, 4), (3, 0), (0, 0), (5_000, 1_000)])
def test_a_share_that_is_shown_as_before_is_not_ranked(before: int, now: int) -> None:
    assert ranked([missing(before, now)]) == []


def test_a_share_that_changed_is_ranked_and_values_always_are() -> None:
    moved = missing(0, 800)
    assert moved.alarm
    values = replace(moved, kind=Kind.VALUES, share=None, reference_share=None, alarm=False)
    assert ranked([missing(0, 4, "age"), values, moved]) == [moved, values]


def test_the_axis_follows_what_moved_and_not_what_chance_may_do() -> None:
    assert axis_end([0.01, 0.02]) == 0.12
    assert axis_end([0.4]) == pytest.approx(0.5)
    finding = {"name": "age", "kind": "values", "psi": 0.02, "band": 7.0, "alarm": False}
    assert "chance reaches further" in ranking([finding])
    assert "chance reaches further" not in ranking([{**finding, "band": 0.05}])
    low, high = limits([0.010, 0.012, 0.016])
    assert low >= 0
    assert high < 0.02, "a band up to 0.2 would have left a flat line"
    assert limits([60.0, 160.0])[1] == pytest.approx(195)

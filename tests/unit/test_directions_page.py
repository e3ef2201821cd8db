"""The report shows what directions are declared, what proves them, and what each costs."""

from dataclasses import replace
from pathlib import Path

from model_export.sweep import NOT_MONGE
from scoring.bundle.folder import read_bundle
from tests.unit.test_monitor_ranking import BUNDLE
from training.report.content import Content
from training.report.files import content_of
from training.report.page import render
from training.report.sections.sections_directions import directions


def _content(proved: object, priced: object) -> Content:
    old = content_of(read_bundle(Path(BUNDLE)))
    facts = {**old.facts, "parity": {**old.facts["parity"], "directions": proved}}
    return replace(old, facts={**facts, "evaluation": {**facts["evaluation"], "directions": priced}})


def _figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.5, "high": value + 0.5}


def test_prices_and_proof_stand_on_the_page() -> None:
    proved = {
        "features": ["annual_income"],
        "comparisons": 123_456,
        "violations": 0,
        "proved": ["P(best class)", "credit score"],
        "class_left_out": NOT_MONGE,
        "never_worse": [{"feature": "age", "from": 62.0, "comparisons": 4_321}],
    }
    row = {"log_loss": _figure(0.0123), "cost": _figure(-1.5)}
    priced = {"all": row, "each": [{"name": "annual_income", **row}], "rows_of_each": 4_000}
    page = render(_content(proved, priced))
    for text in ("123,456 comparisons, 0 against", "Monge property", "From age 62 on", "4,321", "all together"):
        assert text in page, text
    assert "+0.0123<small>-0.4877 to +0.5123</small>" in page
    assert "-1.50<small>-2.00 to -1.00</small>" in page


def test_without_directions_and_without_prices_the_page_says_so() -> None:
    assert "declares no direction" in directions(_content(None, None))
    proved = {"features": ["x"], "comparisons": 1, "violations": 0, "proved": ["credit score"], "class_left_out": None}
    assert "trained elsewhere" in directions(_content(proved, None))

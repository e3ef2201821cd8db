"""A new metric is one entry of the table: it is computed, printed and shown wherever it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import metrics.table
from cli.figures import metric_rows
from metrics import Asked, Cells, Metric, Pair, Place, Unit, Worse, listed, monitored
from recipes.dataset import Dataset
from scoring.bundle.folder import read_bundle
from scoring.evaluate_files import evaluate_decisions
from scoring.scorer import Scorer
from training.evaluate.fairness import fairness
from training.evaluate.judged import evaluate_judged
from training.report.card import render_card
from training.report.content import Content
from training.report.figures.figures import judged_figures
from training.report.files import content_of
from training.report.page import render
from training.run import Trained


def _wrong_approvals(asked: Asked) -> Pair:
    cells = np.zeros((asked.count, asked.count))
    cells[0, -1] = 1
    everyone = np.zeros((asked.count, asked.count))
    everyone[:, -1] = 1
    return cells, everyone


NEW = Metric(
    name="wrong_approval_rate",
    label="approved who are {worst}",
    short="wrong approvals",
    unit=Unit.SHARE,
    worse=Worse.HIGHER,
    formula="of the applicants who are called the best class, the share that is of the worst",
    value=Cells(_wrong_approvals),
    matters=0.05,
    places=frozenset(Place),
)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.table, "METRICS", (*listed(), NEW))


@pytest.mark.usefixtures("registered")
def test_evaluate_and_the_console_have_it(scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    found = evaluate_decisions(decisions, dataset.labels)
    joined = decisions.join(dataset.labels.rename({"credit_class": "actual"}), on="application_id")
    approved = joined.filter(pl.col("credit_class") == "Good")
    wanted = (approved["actual"] == "Poor").mean()
    assert found["metrics"]["wrong_approval_rate"]["value"] == pytest.approx(wanted, abs=1e-6)
    assert "wrong_approval_rate" in [row[0] for row in metric_rows(found)]


@pytest.mark.usefixtures("registered")
@pytest.mark.slow
def test_report_card_fairness_and_monitor_have_it(bundle: Path, trained: Trained, scorer: Scorer) -> None:
    judged, old = trained.judged, content_of(read_bundle(bundle))
    ids = pl.Series([str(i) for i in range(len(judged.examples))])
    groups = pl.DataFrame({"application_id": ids, "group": ["a", "b"] * (len(ids) // 2) + ["a"] * (len(ids) % 2)})
    evaluation = {**old.facts["evaluation"], "held_out_customers": evaluate_judged(judged)}
    content: Content = replace(
        old,
        facts={**old.facts, "evaluation": evaluation},
        figures={**old.figures, **judged_figures(judged, scorer.bundle.explainer.tables), "data": old.figures["data"]},
        fairness=fairness(judged, ids, groups),
    )
    page, card = render(content), render_card(content)
    assert page.count("approved who are Poor") >= 4, "policy, months, slices and groups name it, by its label"
    assert "wrong_approval_rate" not in page
    assert "wrong_approval_rate" in card
    assert card.count("approved who are Poor") >= 2
    assert "wrong_approval_rate" in monitored(np.ones((3, 3)), judged.costs)

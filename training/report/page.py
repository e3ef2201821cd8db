"""The report as one page: works offline, on a phone, on paper, in light and dark; no script, nothing loaded."""

from html import escape
from typing import Any

from metrics import Unit, find
from pages import html
from training.report.content import Content, verdict
from training.report.sections import sections_curves as curves
from training.report.sections import sections_model as model
from training.report.sections.sections_directions import directions
from training.report.sections.sections_fairness import fairness
from training.report.sections.sections_ranking import ranking
from training.report.sections.sections_reasons import reasons
from training.report.shown import cell

__all__ = ["render"]

_SECTIONS = (
    ("purpose", "What it is for", model.about),
    ("data", "Data and splits", model.data),
    ("metrics", "How good it is", model.metrics),
    ("ranking", "How well it ranks", ranking),
    ("policy", "What lost good applicants cost", curves.policy),
    ("thresholds", "Thresholds", curves.thresholds),
    ("calibration", "Calibration", curves.calibration),
    ("scores", "Scores", curves.scores),
    ("importance", "What decides", curves.importance),
    ("reasons", "Reasons", reasons),
    ("directions", "Directions", directions),
    ("months", "Months", curves.months),
    ("slices", "Slices", curves.slices),
    ("fairness", "Fairness", fairness),
    ("leaks", "Leak checks", model.leak_checks),
    ("tuning", "Search", model.search),
    ("parity", "Parity", model.parity),
)


def render(content: Content) -> str:
    """Return the report. The same content gives the same bytes."""
    facts = content.facts
    kind = f"{facts['model']['kind']}, {facts['model']['trees']} trees, {len(facts['model']['features'])} features"
    said = html.paragraph(f"{kind}, {content.evaluation.origin}. {content.evaluation.how}")
    notes = [curves.starved(content), _policy_note(content)]
    return html.Page(
        made_by="credit report",
        title=f"{facts['name']}: model report",
        top=[said, html.bullets(verdict(content)), _key_figures(content), *notes],
        sections=[(name, heading, make(content)) for name, heading, make in _SECTIONS],
        about=" from the bundle's own figures. Intervals are 95 %, by customer.",
    ).text()


def _policy_note(content: Content) -> str:
    if content.evaluation.policy_changed != "from the stored histogram":
        return ""
    return html.note(
        "The policy was set after training, without data: figures under it come from the stored histogram of "
        "probabilities, rounded and without intervals; months and slices under the former policy are left out."
    )


_BASELINES = {"approve_all": "approving everybody", "argmax": "argmax"}


def _key_figures(content: Content) -> str:
    """Show the figures that decide, with their intervals, beside decisions without it; a dearer one stands out."""
    best = content.spec.best_class
    names = ("auc", "expected_cost", "false_negative_rate", f"precision_{best}", f"recall_{best}")
    boxes = [_tile(content, name) for name in names if name in content.metrics]
    return f'<dl class="key">{"".join(boxes)}</dl>'


def _tile(content: Content, name: str) -> str:
    metric, figure = find(name), content.metrics[name]
    if metric is None:
        return ""
    label = metric.called(content.spec.classes) + (f", {content.currency}" if metric.unit is Unit.MONEY else "")
    value, _, span = cell(metric, figure).partition(" (")
    beside = _beside(content, name) if metric.of_decisions else {"Gini": content.metrics.get("gini")}
    known = {words: other for words, other in beside.items() if other is not None and other["value"] is not None}
    dearer = [
        words
        for words, other in known.items()
        if metric.unit is Unit.MONEY and figure["value"] is not None and figure["value"] > other["value"]
    ]
    lines = [span.removesuffix(")")] if span else []
    lines += [f"{words} {cell(metric, other).partition(' (')[0]}" for words, other in known.items()]
    lines += [f"dearer than {' and '.join(dearer)}"] if dearer else []
    small = "".join(f"<small>{escape(line)}</small>" for line in lines)
    return f"<div{WORSE if dearer else ''}><dt>{escape(label)}</dt><dd>{escape(value)}{small}</dd></div>"


WORSE = ' class="worse"'


def _beside(content: Content, name: str) -> dict[str, Any]:
    judged = content.evaluation.judged
    return {words: judged[other]["metrics"].get(name) for other, words in _BASELINES.items() if other in judged}

"""The report as one page: works offline, on a phone, on paper, in light and dark; no script, nothing loaded."""

from html import escape

from pages import html
from training.report import sections_curves as curves
from training.report import sections_model as model
from training.report.content import Content
from training.report.sections_fairness import fairness
from training.report.sections_reasons import reasons

_SECTIONS = (
    ("purpose", "What it is for", model.about),
    ("data", "Data and splits", model.data),
    ("metrics", "How good it is", model.metrics),
    ("policy", "What lost good applicants cost", curves.policy),
    ("thresholds", "Thresholds", curves.thresholds),
    ("calibration", "Calibration", curves.calibration),
    ("scores", "Scores", curves.scores),
    ("importance", "What decides", curves.importance),
    ("reasons", "Reasons", reasons),
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
    said = html.paragraph(f"{kind}. Judged on {content.judged}.")
    return html.Page(
        made_by="credit report",
        title=f"{facts['name']}: model report",
        top=[said, _key_figures(content), curves.starved(content), _policy_note(content)],
        sections=[(name, heading, make(content)) for name, heading, make in _SECTIONS],
        about=" from the bundle's own figures. Intervals are 95 %, by customer.",
    ).text()


def _policy_note(content: Content) -> str:
    if content.facts["evaluation"].get("policy_changed") != "from the stored histogram":
        return ""
    return html.note(
        "The policy was set after training, without data: figures under it come from the stored histogram of "
        "probabilities, rounded and without intervals; months and slices under the former policy are left out."
    )


def _key_figures(content: Content) -> str:
    points, best = content.figures["trade_off"]["points"], content.spec.best_class
    policy, argmax = points["policy"], points["argmax"]
    shown = (
        (
            f"{best} called {content.spec.classes[0]}",
            html.percent(policy["false_negative_rate"], 2),
            html.percent(argmax["false_negative_rate"], 2),
        ),
        (f"Precision of {best}", html.percent(policy["precision"]), html.percent(argmax["precision"])),
        (f"Recall of {best}", html.percent(policy["recall"]), html.percent(argmax["recall"])),
        (
            f"Cost of an application, {content.currency}",
            html.number(policy["expected_cost"], 2),
            html.number(argmax["expected_cost"], 2),
        ),
    )
    boxes = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value.partition(' (')[0])}<small>{escape(_interval(value))}argmax "
        f"{escape(other.partition(' (')[0])}</small></dd></div>"
        for name, value, other in shown
    )
    return f'<dl class="key">{boxes}</dl>'


def _interval(text: str) -> str:
    inside = text.partition(" (")[2].removesuffix(")")
    return f"{inside}; " if inside else ""

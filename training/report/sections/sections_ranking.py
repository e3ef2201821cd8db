"""Section of the report: ROC and precision-recall curves, with AUC, Gini and KS."""

from metrics import Place, Ranks, listed
from pages import html
from training.report import plots
from training.report.content import Content
from training.report.sections.sections_curves import by_class
from training.report.shown import plain


def ranking(content: Content) -> str:
    """Show how well the probabilities rank applicants, whatever the policy makes of them."""
    found = content.figures.get("curves")
    if found is None:
        text = "The bundle was made by a release that kept no ROC curve; `credit report --data` computes it."
        return html.section("ranking", "How well it ranks", html.paragraph(text))
    figures, classes = content.metrics, content.spec.classes
    rows = [
        (metric.called(classes), plain(metric.name, figures[metric.name]), html.Words(metric.formula))
        for metric in listed(Place.EVALUATION, classes)
        if isinstance(metric.value, Ranks) and metric.name in figures
    ]
    areas = {"auc": classes[-1], "auc_better_than_worst": f"better than {classes[0]}"}
    known = {name: figures[key]["value"] for key, name in areas.items() if key in figures}
    averages = {name: (figures.get(f"average_precision_{name}") or {"value": None})["value"] for name in classes}
    drawn = [
        html.figure(plots.roc(dict(by_class(content, found)), known), "True against false positives, by threshold."),
        html.figure(plots.precision_recall(dict(by_class(content, found)), averages), "Precision against recall."),
    ]
    table = html.table(("figure", "value", "what it is"), rows, "Ranking, with 95 % intervals by customer")
    return html.section("ranking", "How well it ranks", html.grid(drawn), table)

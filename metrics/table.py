"""Every figure about decisions, once. Pages, cards, consoles, monitoring, fairness and tuning read this table.

To add a metric, add an entry to the tuple of its family, with the function that computes it: it then gets its interval
and is printed and shown in every place that the entry names.
"""

from metrics.decisions import DECISIONS
from metrics.kinds import Metric, Place, Worse
from metrics.probabilities import PROBABILITIES
from metrics.ranking import RANKING

METRICS: tuple[Metric, ...] = (*DECISIONS, *RANKING, *PROBABILITIES)


def listed(place: Place | None = None, classes: tuple[str, ...] = ()) -> tuple[Metric, ...]:
    """Return the metrics of a place, in the order of the table; with `classes` those of a class once for each."""
    found: list[Metric] = []
    for metric in METRICS:
        if place is None or place in metric.places:
            own = [metric.about(i, name) for i, name in enumerate(classes)] if metric.by_class and classes else [metric]
            found += own
    return tuple(found)


def named(name: str) -> Metric:
    """Return a metric by its name, without the class."""
    return next(metric for metric in METRICS if metric.name == name)


def find(name: str) -> Metric | None:
    """Return the metric of a name in an evaluation, which may end with a class; None: of another release."""
    for metric in METRICS:
        if name == metric.name or (metric.by_class and name.startswith(f"{metric.name}_")):
            return metric
    return None


def order(name: str) -> tuple[int, str]:
    """Sort the names of an evaluation by their place in the table; those of another release come last."""
    metric = find(name)
    return (len(METRICS) if metric is None else METRICS.index(metric)), name


def markdown() -> str:
    """Return the table as Markdown, for the documentation."""
    head = "| metric | what it is | unit | worse when | loss that matters | where | source |\n|" + "---|" * 7 + "\n"
    rows = (" | ".join(cell.replace("|", r"\|") for cell in _row(metric)) for metric in METRICS)
    return head + "".join(f"| {row} |\n" for row in rows)


def _row(metric: Metric) -> tuple[str, ...]:
    name = f"`{metric.name}{'_CLASS' if metric.by_class else ''}`"
    matters = metric.enough_in_words if metric.matters is not None else "-"
    places = ", ".join(place for place in Place if place in metric.places)
    worse = metric.worse if metric.worse is not Worse.NEITHER else "-"
    return name, metric.formula, metric.unit, worse, matters, places, metric.source or "-"

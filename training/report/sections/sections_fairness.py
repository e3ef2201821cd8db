"""Section of the report: rates by group, if a groups file was given."""

from typing import Any

from metrics import Metric, Place, listed
from pages import html
from training.report.content import Content
from training.report.shown import cell

__all__ = ["cells", "heads", "verdicts"]

MEASURES = ("not_refused", "approved")  # better than the worst class, and called the best one: both have ratios
FOUR_FIFTHS = 0.8  # of the US Uniform Guidelines (1978): a lower ratio asks for an explanation


_ABSENT = (
    "Not part of a bundle: groups are never a model input and are not stored. `credit report BUNDLE --data DIR "
    "--groups FILE` adds rates by group, the adverse impact ratio and a proxy check."
)


def fairness(content: Content) -> str:
    """Show rates by group; says how to get them where no groups were given."""
    found = content.fairness
    if found is None:
        return html.section("fairness", "Fairness", html.paragraph(_ABSENT))
    header = ("group", "applications", "customers", *heads(content.spec.classes))
    rows = [(row["group"], *cells(row)) for row in found["groups"]]
    auc = [(name, html.number(figure, 3)) for name, figure in sorted(found["proxy"]["auc"].items())]
    return html.section(
        "fairness",
        "Fairness",
        html.paragraph(
            f"Groups came with this report alone. Ratios compare with {found['reference']}, the group that is refused "
            f"least. Applications without a group, which are not compared: {found['without_group']:,}. Small groups "
            "have no figures."
        ),
        html.table(header, rows, "By group, with 95 % intervals by customer"),
        *[html.note(text) for text in verdicts(content)],
        html.paragraph(found["proxy"]["verdict"]),
        html.table(("group against the others", "AUC of its prediction from the features"), auc, "Proxy check"),
    )


def verdicts(content: Content) -> list[str]:
    """Say what the least adverse impact ratios mean: of not being refused, and of being called the best class."""
    if content.fairness is None:
        return []
    ratios, best = content.fairness["least_ratios"], content.spec.best_class
    names = {"not_refused": "not refused", "approved": f"called {best}"}
    return [f"Least adverse impact ratio, {text}: {_verdict(ratios[name])}" for name, text in names.items()]


def _verdict(ratio: dict[str, Any]) -> str:
    shown = html.number(ratio, 3)
    if ratio["value"] is None:
        return "not defined, because nobody is in the reference group."
    if ratio["high"] < FOUR_FIFTHS:
        return f"{shown}, below four fifths beyond its noise. It needs a reason or a remedy."
    if ratio["low"] < FOUR_FIFTHS:
        return f"{shown}; the interval reaches below four fifths. Collect more and look again."
    return f"{shown}, above four fifths."


def cells(row: dict[str, Any]) -> tuple[object, ...]:
    """Return the figures of a group: its size, then one cell for each of `heads`."""
    if "suppressed" in row:
        return row["suppressed"], *[""] * (1 + len(heads(("",))))
    found: list[object] = [row["n"], row["customers"]]
    for metric in listed(Place.GROUPS):
        found.append(cell(metric, row.get(metric.name)))
        if (ratio := ratio_of(metric)) is not None:
            found.append(html.number(row.get(ratio), 3))
    return tuple(found)


def heads(classes: tuple[str, ...]) -> list[str]:
    """Name the columns of figures of a group; a share that is compared is followed by its ratio."""
    pairs = [(metric.called(classes), ratio_of(metric)) for metric in listed(Place.GROUPS)]
    return [head for label, ratio in pairs for head in ((label, "ratio") if ratio else (label,))]


def ratio_of(metric: Metric) -> str | None:
    """Name the adverse impact ratio of a share, where it has one."""
    measure = metric.name.removesuffix("_share")
    return f"{measure}_ratio" if measure in MEASURES else None

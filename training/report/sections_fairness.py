"""Section of the report: rates by group, if a groups file was given."""

from typing import Any

from pages import html
from training.report.content import Content

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
    best, worst = content.spec.best_class, content.spec.classes[0]
    header = (
        *("group", "applications", "customers", f"are {best}", "not refused", "ratio", f"called {best}", "ratio"),
        *(f"{best} called {worst}", f"{best} called less", f"precision of {best}"),
    )
    rows = [(row["group"], *_cells(row)) for row in found["groups"]]
    auc = [(name, html.number(figure, 3)) for name, figure in sorted(found["proxy"]["auc"].items())]
    return html.section(
        "fairness",
        "Fairness",
        html.paragraph(
            f"Groups came with this report alone. Ratios compare with {found['reference']}, the group that is refused "
            f"least. Applications without a group: {found['without_group']:,}. Small groups have no figures."
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


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    if "suppressed" in row:
        return row["suppressed"], *[""] * 9
    return (
        row["n"],
        row["customers"],
        html.percent(row["good_share"]),
        html.percent(row["not_refused_share"]),
        html.number(row["not_refused_ratio"], 3),
        html.percent(row["approved_share"]),
        html.number(row["approved_ratio"], 3),
        html.percent(row["false_negative_rate"], 2),
        html.percent(row["false_negative_rate_wide"]),
        html.percent(row["precision"]),
    )

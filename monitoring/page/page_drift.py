"""Sections of the monitor's page: what moved, classes and scores, doors, method."""

from typing import Any

from pages import html
from pages import monitor_plots as plots

_SHOWN = 30


def drift(found: dict[str, Any]) -> str:
    """Show the ranking with noise bands, and the course of what leads it."""
    moved = found["drift"]
    parts = [
        html.paragraph(
            "Ranked: alarms, then what lies outside its noise band, each by drift (PSI) times importance. The first is "
            "where to look first."
        )
    ]
    if moved["ranking"]:
        caption = "PSI against training; the mark is what chance reaches. Alarms stand out in colour."
        parts.append(html.figure(plots.ranking(moved["ranking"]), caption))
    parts.append(
        html.table(_HEAD, [_row(f) for f in moved["ranking"][:_SHOWN]], "What moved, first where to look first")
    )
    courses = moved["courses"]
    pictures = [html.figure(plots.bins(course, i), course["name"]) for i, course in enumerate(courses)]
    if courses and courses[0]["parts"]:
        pictures.append(html.figure(plots.over_parts(courses, "psi", "PSI"), "PSI by door and period"))
        pictures.append(html.figure(plots.over_parts(courses, "missing", "missing rate"), "Missing by door and period"))
    return "".join([*parts, html.grid(pictures)])


_HEAD = ("what", "of what", "where", "PSI", "chance reaches", "Jensen-Shannon", "importance", "alarm")


def _row(finding: dict[str, Any]) -> tuple[object, ...]:
    detail = f" ({finding['detail']})" if finding["detail"] else ""
    psi = f"{finding['psi']:.4f}"
    if finding["share"] is not None:
        psi += f" ({finding['reference_share']:.1%} to {finding['share']:.1%})"
    distance = f"{finding['distance']:.3f} ({_number(finding['js_band'], 3)} by chance)"
    return (
        finding["name"],
        html.Words(f"{finding['kind']}{detail}"),
        finding["where"],
        psi,
        _number(finding["band"], 4),
        distance,
        f"{finding['weight']:.3f}",
        "alarm" if finding["alarm"] else "moved" if finding["moved"] else "-",
    )


def _number(value: float | None, digits: int) -> str:
    return "too few" if value is None else f"{value:.{digits}f}"


def outputs(found: dict[str, Any]) -> str:
    """Show class mix and scores."""
    classes, shown = found["classes"], found["outputs"]
    rows = [("training, held out", *[f"{s:.1%}" for s in shown["classes"]["reference"]])]
    rows += [(name, *[f"{s:.1%}" for s in shares]) for name, shares in shown["classes"]["parts"].items()]
    pictures = [
        html.figure(plots.mix(shown["classes"], classes), "Classes by door and period"),
        html.figure(plots.scores(shown["scores"]), "Credit scores, in bins of training's tenths"),
    ]
    return html.grid(pictures) + html.table(("", *classes), rows, "Share of decisions by assigned class")


def doors(found: dict[str, Any]) -> str:
    """Say whether doors agree."""
    named = found["doors"]
    rows = list(found["window"]["doors"].items())
    table = html.table(("door", "decisions"), rows, "Decisions by door")
    if not named["compared"]:
        return table + html.paragraph("No application came to more than one door, so there is nothing to compare.")
    different = f"{named['differing']:,} were decided differently."
    said = f"{named['compared']:,} applications came to more than one door; {different}"
    ids = html.bullets([f"decision {name}" for name in named["decision_ids"]]) if named["decision_ids"] else ""
    return table + html.paragraph(said) + ids


def method(found: dict[str, Any]) -> str:
    """Say how the figures come about, with sources."""
    reference = found["reference"]
    return html.bullets(
        [
            (
                f"Reference: {reference['applications']:,} applications of {reference['customers']:,} customers, "
                f"{reference['first']} to {reference['last']}, in bins that were frozen in the bundle at training. "
                f"Classes and scores: {reference['held_out']:,} applications of customers that the model never saw."
            ),
            (
                "PSI (Siddiqi 2017) is the sum of (q - p) ln(q / p) over bins, 0.5 added to each count; missing cells "
                "are judged apart. Jensen-Shannon (Lin 1991) is the root of the divergence in bits, from 0 to 1."
            ),
            (
                "Noise band: without drift PSI is about (1/n + 1/m) times a chi-square variable (Yurdakul and Naranjo "
                "2020), n and m divided by the design effect of customers with several applications (Rao and Scott "
                f"1981); rates by the arcsine (Anscombe 1948). A test errs at {found['drift']['alpha']:.1e}, so that "
                "at most 2 % of the reports without drift raise a drift alarm (Bonferroni)."
            ),
            "Alarm: outside the noise band, PSI over 0.1 or a rate that moved 1 point, no month of training alike.",
            "Before outcomes: confidence-based estimation from calibrated probabilities (Guillory 2021).",
            "With outcomes: ratio estimates with customers as clusters (Cochran 1977), shares by Wilson.",
        ]
    )

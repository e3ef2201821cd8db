"""The page of a challenger: one sentence whether to stop, then who would change, money, and how it is computed."""

from typing import Any

from compare.sequential import ALIKE, FEWEST_CHANGED, FEWEST_CUSTOMERS, Judgement
from metrics import Unit, named
from pages import html

_METHOD = (
    "An application counts where both bundles decided it: the challenger's receipt stands beside that of the decision.",
    "Intervals are of 95 %, by customer: applications of one customer count together.",
    "Money is that of the policy of the bundle in service.",
    "Before outcomes are known, each bundle's own probabilities say what both cost. Each thinks well of itself.",
    "The rule to stop holds however often you look: its interval covers the truth at every moment at once with 95 %.",
    "It is an asymptotic confidence sequence, and wider than the other intervals.",
    f"It says nothing before {FEWEST_CUSTOMERS} customers have outcomes, {FEWEST_CHANGED} of them with another cost.",
    f"Alike are two whose difference is surely under {ALIKE:.0%} of what the decisions cost.",
)


def headline(found: dict[str, Any]) -> str:
    """Say in one sentence whether to stop."""
    outcomes = found["outcomes"]
    if outcomes is None:
        return "Go on: no outcome of these applications is known yet (credit outcomes add)."
    stop, currency = outcomes["stop"], found["currency"]
    if stop["judgement"] == Judgement.TOO_FEW:
        known, other = stop["customers"], stop["customers_with_another_cost"]
        return (
            f"Go on: outcomes of {known:,} customers are known, {other:,} of whom would have cost something else; "
            f"{FEWEST_CUSTOMERS} and {FEWEST_CHANGED} are the least."
        )
    saves = f"the challenger saves {stop['low']:,.2f} to {stop['high']:,.2f} {currency} a customer"
    return {
        Judgement.CHEAPER: f"Stop: the challenger is cheaper ({saves}).",
        Judgement.DEARER: f"Stop: the challenger is dearer ({saves}).",
        Judgement.ALIKE: f"Stop: the two cost the same within {ALIKE:.0%} ({saves}).",
        Judgement.OPEN: f"Go on: no difference is shown yet ({saves}).",
    }[stop["judgement"]]


def render(found: dict[str, Any]) -> str:
    """Return the page of `compare.shadows.compared`. The same figures give the same bytes."""
    said = (
        f"Challenger {found['challenger'][:12]} beside {', '.join(name[:12] for name in found['champions'])}: "
        f"{found['applications']:,} applications of {found['customers']:,} customers."
    )
    return html.Page(
        made_by="credit challenger report",
        title=f"{found['name']}: a challenger",
        top=[html.paragraph(said), html.note(headline(found))],
        sections=[(name, heading, html.section(name, heading, *make(found))) for name, heading, make in _SECTIONS],
        about="; the JSON file beside this page has the same figures.",
    ).text()


def _changes(found: dict[str, Any]) -> list[str]:
    classes = [row["class"] for row in found["classes"]]
    shares = [
        (row["class"], html.percent(row["champion"]), html.percent(row["challenger"])) for row in found["classes"]
    ]
    moves = [(row["from"], *[row["to"][name] for name in classes]) for row in found["moves"]]
    why = found.get("why", {})
    changed = max(1, why.get("changed", 0))
    put_down = [
        (one["name"], f"{one['decisions']:,.2f}", f"{one['decisions'] / changed:.1%}", one["alone"])
        for one in why.get("parts", ())
    ]
    asked = "Why: with --applications and --events, as `credit why-changed`, the report puts each down to its part."
    return [
        html.paragraph(f"{html.percent(found['changed'], 2)} of the applications would get another class."),
        html.table(("class", "in service", "challenger"), shares, "Share of each class"),
        html.table(("in service", *[f"challenger: {name}" for name in classes]), moves, "From class to class"),
        html.table(("put down to", "decisions", "share", "wholly its own"), put_down, "Why")
        if why
        else html.paragraph(asked),
    ]


def _money(found: dict[str, Any]) -> list[str]:
    currency, outcomes = found["currency"], found["outcomes"]
    names = {"champion": "in service", "challenger": "of the challenger"}
    expected = [(f"probabilities {names[name]}", _gain(of)) for name, of in found["expected"].items()]
    parts = [
        html.table(
            ("if these are true", f"the challenger saves, {currency} an application"),
            expected,
            "Before outcomes are known",
        )
    ]
    if outcomes is None:
        return parts
    metrics = [named(name) for name in outcomes["champion"] if name in outcomes["challenger"]]
    rows = [
        (one.short, *[_shown(outcomes[whose][one.name], one.unit) for whose in ("champion", "challenger")])
        for one in metrics
    ]
    judged = f"{outcomes['applications']:,} applications of {outcomes['customers']:,} customers with outcomes"
    parts.append(html.table(("", "in service", "challenger"), rows, judged))
    saved = [(f"cost saved, {currency} an application", _gain(outcomes["saved"]))]
    if outcomes["fewer_false_negatives"] is not None:
        fewer = _gain(outcomes["fewer_false_negatives"], 4)
        saved.append(("fewer false negatives, share of the good applicants", fewer))
    parts.append(html.table(("paired by customer", "challenger"), saved, "What the challenger does better"))
    return parts


def _shown(found: dict[str, Any], unit: Unit) -> str:
    return html.percent(found) if unit is Unit.SHARE else html.number(found, 2 if unit is Unit.MONEY else 4)


def _gain(found: dict[str, Any], digits: int = 2) -> str:
    return f"{found['gain']:+,.{digits}f} ({found['low']:+,.{digits}f} to {found['high']:+,.{digits}f})"


def _how(found: dict[str, Any]) -> list[str]:
    del found
    return [html.bullets(_METHOD)]


_SECTIONS = (
    ("changes", "Who would change", _changes),
    ("money", "Money and lost good applicants", _money),
    ("method", "How this is computed", _how),
)

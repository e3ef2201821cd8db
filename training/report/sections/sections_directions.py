"""Section of the report: what directions the spec declares, what proves them, and what each costs."""

from typing import Any

from pages import html
from training.report.content import Content

_HEADING = "Directions"
_MORE = {1: "better", -1: "worse", 0: ""}


def directions(content: Content) -> str:
    """Show the price of all directions together and of each alone, the proof, and the rule for age."""
    proved, priced = (content.facts[part].get("directions") for part in ("parity", "evaluation"))
    if not proved:
        text = (
            "The spec declares no direction: the model may hold more income against an applicant where the data do. "
            "`credit train DIR --propose-directions` prints what the data speak for, with the price of each."
        )
        return html.section("directions", _HEADING, html.paragraph(text))
    parts = [html.bullets([_proof(proved), *map(_rule, proved.get("never_worse", []))])]
    if proved.get("class_left_out"):
        parts.append(html.note(proved["class_left_out"]))
    return html.section("directions", _HEADING, *parts, _prices(content, priced))


def _proof(proved: dict[str, Any]) -> str:
    return (
        f"Swept: {len(proved['features'])} features, {proved['comparisons']:,} comparisons, {proved['violations']} "
        f"against a direction. Proved for {', '.join(proved['proved'])}."
    )


def _rule(rule: dict[str, Any]) -> str:
    return (
        f"From {rule['feature']} {rule['from']:g} on all values count alike and none is worse than a lower one: "
        f"{rule['comparisons']:,} comparisons."
    )


def _prices(content: Content, priced: dict[str, Any] | None) -> str:
    if priced is None:
        return html.paragraph("Their price is not known here: the model was trained elsewhere.")
    spec = content.spec
    signs = [*((a.name, a.direction) for a in spec.attributes), *((g.name, g.direction) for g in spec.groups)]
    words = {name: _MORE[sign] for name, sign in signs}
    rows = [("all together", "", *_price(priced["all"]))]
    rows += [(row["name"], words.get(row["name"], ""), *_price(row)) for row in priced["each"]]
    return html.paragraph(
        "A price is what the model is worse by with the direction than without it, out of fold and paired by customer. "
        f"Each alone is priced on {priced['rows_of_each']:,} applications, so its interval is wide."
    ) + html.table(
        ("direction", "more is", "log loss", f"cost of an application, {content.currency}"),
        rows,
        "What directions cost, with 95 % intervals; below 0 is a gain",
    )


def _price(row: dict[str, Any]) -> tuple[str, str]:
    loss, cost = row["log_loss"], row["cost"]
    return (
        f"{loss['value']:+.4f} ({loss['low']:+.4f} to {loss['high']:+.4f})",
        f"{cost['value']:+.2f} ({cost['low']:+.2f} to {cost['high']:+.2f})",
    )

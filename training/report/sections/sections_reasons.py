"""Section of the report: do the reasons of refused applicants hold."""

from pages import html
from training.report.content import Content


def reasons(content: Content) -> str:
    """Show the shares of weak and contradicting reasons, and what putting the first one right does."""
    found = content.figures.get("reasons")
    heading = "Do the reasons hold?"
    if not found or not found["refused"]:
        text = "Nobody was refused." if found else "Not in this bundle. Train again, or give --data, to have it."
        return html.section("reasons", heading, html.paragraph(text))
    best = content.spec.best_class
    rows = [
        (row["code"], f"{row['first']:,}", _percent(row["raises_margin"]), _percent(row["better_class"]))
        for row in found["examples"]
    ]
    return html.section(
        "reasons",
        heading,
        html.paragraph(
            f"Of {found['refused']:,} refused applicants of the data. A reason contradicts itself where it names a "
            "feature for a value that does not speak against applicants in its own direction; it is weak where "
            "nothing spoke against the applicant. The check puts the first reason right: its features are set to the "
            f"medians of the applicants who are rated {best}, and the model scores again."
        ),
        html.bullets(
            [
                f"With a contradicting reason: {_percent(found['contradicting'])}.",
                f"With a weak one: {_percent(found['weak'])}.",
                f"The margin rises once the first reason is put right: {_percent(found['first_raises_margin'])}.",
                f"The class is then better: {_percent(found['first_gives_better_class'])}.",
            ]
        ),
        html.table(
            ("first reason", "refused", "margin rises", "better class"), rows, "The most frequent first reasons."
        ),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

"""Section of the report: rates by group, if a groups file was given."""

from training.report import html
from training.report.content import Content


def fairness(content: Content) -> str:
    """Show rates by group; says how to get them where no groups were given."""
    found = content.fairness
    if found is None:
        return html.section(
            "fairness",
            "Fairness",
            html.paragraph(
                "Not part of a bundle: groups are never a model input and are not stored. `credit report BUNDLE "
                "--data DIR --groups FILE` adds rates by group, the adverse impact ratio and a proxy check."
            ),
        )
    return html.section("fairness", "Fairness", html.paragraph("to come"))

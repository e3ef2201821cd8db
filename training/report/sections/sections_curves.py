"""Sections of the report: policy, thresholds, calibration, scores, importance, months, slices."""

from typing import Any

from metrics import Place, listed
from pages import html
from training.report import plots
from training.report.content import Content
from training.report.shown import cell

LABELS = {
    "policy": "the policy",
    "argmax": "argmax of the probabilities",
    "policy_at_the_precision_of_argmax": "the policy at the precision of argmax, found afterwards",
    "lost_good_applicants_cost_half": "lost good applicants at half the price",
    "lost_good_applicants_cost_double": "lost good applicants at twice the price",
    "wrong_approvals_cost_half": "wrong approvals at half the price",
    "wrong_approvals_cost_double": "wrong approvals at twice the price",
}


def in_order(points: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return named points of the trade-off in the order of the report."""
    return [(name, points[name]) for name in LABELS if name in points]


def by_class(content: Content, found: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return figures by class, worst first."""
    return [(name, found[name]) for name in content.spec.classes]


def policy(content: Content) -> str:
    """Show what false negatives cost: the curve, the chosen point, and other prices."""
    found, best, worst = content.figures["trade_off"], content.spec.best_class, content.spec.classes[0]
    rate, wide = "false_negative_rate", "false_negative_rate_wide"
    parts = [starved(content), _costs(content)]
    parts.append(
        html.paragraph(
            "The curve shows the policy with its price of wrong approvals (calling another class "
            f"{best}) multiplied by 1/8 to 8. Multiplying all costs alike would change nothing."
        )
    )
    drawn = [(rate, f"{best} called {worst}", "False negatives against precision. Band: 95 %.")]
    if len(content.spec.classes) > 2:
        drawn.append((wide, f"{best} called anything less", "The same, wide: any class below the best."))
    figures = [html.figure(plots.trade_off(found, name, label), caption) for name, label, caption in drawn]
    figures.append(html.figure(plots.cost(found, content.currency), "What decisions cost at the policy's own prices."))
    parts.append(html.grid(figures))
    parts += [_points(content), _mix(content)]
    return html.section("policy", "What lost good applicants cost", *parts)


def starved(content: Content) -> str:
    """Call out classes that the policy never assigns."""
    never = content.figures["trade_off"]["never_assigned"]
    return "".join(
        html.note(
            f"The policy never assigns {name} to any of the judged applications: its costs starve the class. Check the "
            "costs, or leave the class out of the spec."
        )
        for name in never
    )


def _costs(content: Content) -> str:
    policy = content.policy
    rows = [
        (f"is {name}", *[f"{cost:,.2f}" for cost in row])
        for name, row in zip(policy.classes, policy.costs, strict=True)
    ]
    caption = f"Costs in {policy.currency} by actual and assigned class"
    if policy.multiplier != 1:
        caption += f"; wrong approvals count {policy.multiplier:.4g} times, which the floors asked for"
    return html.table(("", *[f"called {name}" for name in policy.classes]), rows, caption)


def _points(content: Content) -> str:
    points = content.figures["trade_off"]["points"]
    rows = [
        (LABELS[name], *[cell(metric, point.get(metric.name)) for metric in listed(Place.POLICY)])
        for name, point in in_order(points)
    ]
    header = ("decisions by", *[metric.called(content.spec.classes) for metric in listed(Place.POLICY)])
    return html.table(header, rows, f"The chosen point and others, with 95 % intervals; cost in {content.currency}")


def _mix(content: Content) -> str:
    rows = [
        (LABELS[name], *[f"{100 * share:.1f} %" for _, share in by_class(content, mix)])
        for name, mix in in_order(content.figures["trade_off"]["class_mix"])
    ]
    return html.table(("decisions by", *content.spec.classes), rows, "Classes assigned")


def thresholds(content: Content) -> str:
    """Show precision and recall of each class by threshold."""
    curves = content.figures["thresholds"]
    drawn = [
        html.figure(plots.thresholds(name, curve, i), f"{name} against the rest.")
        for i, (name, curve) in enumerate(by_class(content, curves))
    ]
    rows = [
        (f"{name} from {curve['threshold'][i]:.1f} on", _share(curve["precision"][i]), _share(curve["recall"][i]))
        for name, curve in by_class(content, curves)
        for i in range(10, 100, 20)
    ]
    return html.section(
        "thresholds",
        "Precision and recall by threshold",
        html.grid(drawn),
        html.table(("called", "precision", "recall"), rows, "Some thresholds in numbers"),
    )


def _share(value: float | None) -> str:
    return "not defined" if value is None else f"{100 * value:.1f} %"


def calibration(content: Content) -> str:
    """Show whether stated probabilities come true."""
    text = (
        "A probability of 0.8 should come true eight times in ten. Bars are 95 % intervals; bins under 20 are left out."
    )
    drawn = plots.calibration(dict(by_class(content, content.figures["calibration"])))
    error = html.number(content.metrics["calibration_error"])
    return html.section(
        "calibration",
        "Calibration",
        html.paragraph(f"{text} Mean gap over classes and bins: {error}."),
        html.grid([html.figure(drawn, "Stated probability against what came true.")]),
    )


def scores(content: Content) -> str:
    """Show the distribution of scores by class."""
    scaling, found = content.spec.scaling, content.figures["scores"]
    return html.section(
        "scores",
        "Score distribution",
        html.paragraph(
            f"{scaling.base_score:g} points where the odds against {content.spec.classes[0]} are {scaling.base_odds:g} "
            f"to 1, {scaling.points_to_double_odds:g} more where they double."
        ),
        html.grid(
            [
                html.figure(
                    plots.scores(found["edges"], dict(by_class(content, found["shares"]))),
                    "Credit score by what came true.",
                )
            ]
        ),
    )


def importance(content: Content) -> str:
    """Show which features decide, and how."""
    found = content.figures["importance"]
    features = found["features"]
    rows = [
        (f["feature"], f"{f['mean_absolute']:.4f}", f"{100 * f['share']:.1f} %", html.Words(f["description"]))
        for f in features
    ]
    drawn = [
        html.figure(plots.dependence(course, i), "Mean, and the middle 80 % of applications.")
        for i, course in enumerate(found["dependence"])
    ]
    return html.section(
        "importance",
        "What decides",
        html.paragraph(
            f"Exact SHAP values of the exported model on {found['rows']:,} judged applications: what each feature "
            f"adds for {content.spec.classes[0]} against {content.spec.best_class}. Association, not cause."
        ),
        html.figure(plots.importance(features[:15]), "Mean absolute contribution, the largest first."),
        html.table(("feature", "mean absolute", "share of all", "meaning"), rows, "Features by importance"),
        html.grid(drawn),
    )


def months(content: Content) -> str:
    """Show stability over months."""
    rows = content.figures["months"]
    table = html.table(
        ("month", *_header(content), "log loss"),
        [(r["month"], *_slice_cells(r), html.number(r.get("log_loss"))) for r in rows],
        "By month of application",
    )
    shown = [row for row in rows if "suppressed" not in row]
    drawn = html.figure(plots.months(rows, content.spec.best_class), "95 % intervals by customer.") if shown else ""
    return html.section("months", "Stability over months", drawn, table)


def slices(content: Content) -> str:
    """Show slices with their sizes."""
    rows = content.figures["slices"]
    flagged = [f"{r['feature']} {r['values']}" for r in rows if r.get("flagged")]
    said = (
        f"Slices that lose clearly more good applicants than all (at one in a thousand): {', '.join(flagged)}."
        if flagged
        else "No slice loses clearly more good applicants than all (at one in a thousand)."
    )
    cells = [(f"{row['feature']}: {row['values']}", *_slice_cells(row)) for row in rows]
    return html.section(
        "slices",
        "Slices",
        html.paragraph("By category, and by quartile of the features that matter most. " + said),
        html.table(("slice", *_header(content)), cells, "By slice, with 95 % intervals by customer"),
    )


def _header(content: Content) -> list[str]:
    named = [metric.called(content.spec.classes) for metric in listed(Place.SLICES)]
    return ["applications", "customers", f"stated {content.spec.best_class}", *named]


def _slice_cells(row: dict[str, Any]) -> tuple[object, ...]:
    if "suppressed" in row:
        return row["n"], row["customers"], row["suppressed"], *[""] * len(listed(Place.SLICES))
    return (
        row["n"],
        row["customers"],
        f"{100 * row['stated_good_share']:.1f} %",
        *[cell(metric, row.get(metric.name)) for metric in listed(Place.SLICES)],
    )

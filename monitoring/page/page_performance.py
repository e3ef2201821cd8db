"""Sections of the monitor's page: performance before and with outcomes, cut-offs."""

from typing import Any

from metrics import Metric, Place, Unit, listed, named
from pages import html
from pages import monitor_plots as plots


def _shown(found: dict[str, Any]) -> list[str]:
    """Name the metrics that the bundle's reference knows, in the order of the table."""
    return [metric.name for metric in listed(Place.MONITOR) if metric.name in found["reference"]["claims"]]


def expected(found: dict[str, Any]) -> str:
    """Show estimates from probabilities, and when they hold."""
    names, claims = _shown(found), found["reference"]["claims"]
    parts = list(dict.fromkeys(e["where"] for e in found["estimates"]))
    by_part = {(e["metric"], e["where"]): e for e in found["estimates"]}
    rows: list[tuple[str, ...]] = [("at training", *[named(name).shown(claims[name]["stated"]) for name in names])]
    rows += [(part, *[_estimate(by_part[name, part]) for name in names]) for part in parts]
    table = html.table(
        ("part", *[named(name).short for name in names]), rows, "Expected from the probabilities, with 95 % intervals"
    )
    state = found["statement"]
    note = html.note(" ".join(state["sentences"]))
    pictures = (
        [html.figure(_course(found, name), named(name).short.capitalize()) for name in names] if len(parts) > 1 else []
    )
    return note + html.grid(pictures) + table


def _estimate(estimate: dict[str, Any]) -> str:
    name = estimate["metric"]
    if estimate["value"] is None:
        return "not defined"
    return _with_interval(name, estimate)


def _with_interval(name: str, figure: dict[str, Any]) -> str:
    value, low, high = (named(name).shown(figure[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _course(found: dict[str, Any], name: str) -> str:
    outcomes = found["outcomes"] or {"cohorts": []}
    realised = {c["where"]: next(m for m in c["metrics"] if m["metric"] == name) for c in outcomes["cohorts"]}
    points = [
        {"where": e["where"], "stated": e, "realised": realised.get(e["where"])}
        for e in found["estimates"]
        if e["metric"] == name
    ]
    unit = f", {found['currency']}" if named(name).unit is Unit.MONEY else ""
    return plots.course_of_metric(named(name).short, unit, points, found["reference"]["claims"][name]["realised"])


def outcomes(found: dict[str, Any]) -> str:
    """Show what came true, by period, against what was stated; coverage, calibration, what a fall comes from."""
    known = found["outcomes"]
    if known is None:
        return html.paragraph("No outcome is known. credit outcomes add LOG --labels FILE adds them as they mature.")
    parts = [_selection(found), _falls(found), _cohorts(found), _against(found), _coverage(found)]
    if known["calibration"]:
        picture = plots.calibration(known["calibration"], found["classes"][-1])
        parts.insert(3, html.figure(picture, "Are the probabilities still true?"))
    return "".join(parts)


def _selection(found: dict[str, Any]) -> str:
    known, classes = found["outcomes"], found["classes"]
    said = []
    if known["refused_unknown"]:
        said.append(
            f"Selection: applicants who were called {classes[0]} have no outcomes, because they were turned down. So "
            "recall, false negatives, accuracy and cost cannot be measured, only precision and calibration of the "
            "others, and nothing here says how those turned down would have paid."
        )
    if known["immature"]:
        said.append(f"Not matured, and left out: {', '.join(known['immature'])}.")
    return "".join(html.note(text) for text in said)


def _cohorts(found: dict[str, Any]) -> str:
    cohorts = found["outcomes"]["cohorts"]
    if not cohorts:
        return html.paragraph("No period has matured outcomes yet.")
    names, claims = _shown(found), found["reference"]["claims"]
    head = ("period", "outcomes", *[named(name).short for name in names], "log loss")
    rows: list[tuple[object, ...]] = [("at training", "", *[named(n).shown(claims[n]["realised"]) for n in names], "")]
    rows += [
        (c["where"], c["rows"], *[_realised(c, name) for name in names], f"{c['log_loss']:.4f} ({c['excess']:+.4f})")
        for c in cohorts
    ]
    return html.table(
        head, rows, "Came true, by period of the application; in brackets 95 % intervals, excess log loss"
    ) + _ranking(found)


def _ranking(found: dict[str, Any]) -> str:
    """Show how well each period's probabilities rank its applicants, beside training's."""
    cohorts = [(c["where"], c["ranking"]) for c in found["outcomes"]["cohorts"] if c["ranking"]]
    if not cohorts:
        return ""
    names = [metric.name for metric in listed(Place.COHORTS)]
    rows = [
        (where, *[_ranked(named(name), ranking.get(name)) for name in names])
        for where, ranking in [("at training", found["reference"]["ranking"]), *cohorts]
    ]
    head = ("period", *[named(name).called(tuple(found["classes"])) for name in names])
    return html.table(head, rows, "How well probabilities rank, by period of the application; 95 % intervals")


def _ranked(metric: Metric, figure: dict[str, float | None] | None) -> str:
    if figure is None or figure["value"] is None:
        return "not known"
    text = metric.shown(figure["value"])
    low, high = figure["low"], figure["high"]
    return text if low is None else f"{text} ({metric.shown(low)} to {metric.shown(high)})"


def _realised(cohort: dict[str, Any], name: str) -> str:
    metric = next(m for m in cohort["metrics"] if m["metric"] == name)
    if metric["value"] is None:
        return "not known"
    flag = ", alarm" if metric["alarm"] else ""
    return _with_interval(metric["metric"], metric).removesuffix(")") + f"{flag})"


def _against(found: dict[str, Any]) -> str:
    rows, names = [], _shown(found)
    for cohort in found["outcomes"]["cohorts"]:
        metrics = {m["metric"]: m for m in cohort["metrics"]}
        rows.append((cohort["where"], *[_held(metrics[name]) for name in names]))
    caption = "The estimate for the same decisions, in brackets where the truth was to be expected, and whether it held"
    return html.table(("period", *[named(name).short for name in names]), rows, caption) if rows else ""


def _held(metric: dict[str, Any]) -> str:
    name = metric["metric"]
    if metric["value"] is None or metric["stated"] is None:
        return "not known"
    reach = f"{named(name).shown(metric['stated_low'])} to {named(name).shown(metric['stated_high'])}"
    return f"{named(name).shown(metric['stated'])} ({reach}, {'missed' if metric['surprising'] else 'held'})"


def _falls(found: dict[str, Any]) -> str:
    rows = [
        (
            fall["where"],
            named(fall["metric"]).short,
            _change(fall, "change"),
            f"{_change(fall, 'inputs')} (± {_size(fall, 'inputs_error')})",
            f"{_change(fall, 'concept')} (± {_size(fall, 'concept_error')})",
            fall["named"],
        )
        for fall in found["outcomes"]["falls"]
    ]
    if not rows:
        return ""
    head = ("period", "metric", "change since training", "by other inputs", "by the concept", "larger")
    return html.table(
        head, rows, "What a change comes from: inputs as stated, concept is what was not stated"
    ) + html.paragraph(
        "Concept: the same inputs lead to other outcomes. ± is a standard error; none is named that lies within three."
    )


def _change(fall: dict[str, Any], key: str) -> str:
    return f"{fall[key]:+,.2f}" if named(fall["metric"]).unit is Unit.MONEY else f"{100 * fall[key]:+.2f} points"


def _size(fall: dict[str, Any], key: str) -> str:
    return f"{fall[key]:,.2f}" if named(fall["metric"]).unit is Unit.MONEY else f"{100 * fall[key]:.2f}"


def _coverage(found: dict[str, Any]) -> str:
    rows = [
        (period, sum(c["decisions"]), f"{sum(c['outcomes']) / max(sum(c['decisions']), 1):.1%}", *_by_class(c))
        for period, c in found["outcomes"]["coverage"].items()
    ]
    head = ("period", "decisions", "with outcome", *[f"of those called {name}" for name in found["classes"]])
    return html.table(head, rows, "Coverage: decisions whose outcome is known")


def _by_class(coverage: dict[str, Any]) -> list[str]:
    pairs = zip(coverage["decisions"], coverage["outcomes"], strict=True)
    return ["-" if not decided else f"{known / decided:.1%}" for decided, known in pairs]


def cut_offs(found: dict[str, Any]) -> str:
    """Show whether the policy's multiplier still fits. A recommendation, never a change."""
    known = None if found["outcomes"] is None else found["outcomes"]["cut_offs"]
    if known is None:
        return html.paragraph("Needs matured outcomes of 50 customers at least.")
    money = found["currency"]
    text = (
        f"Cost of a decision: {known['stated']:.2f} {money} expected, {known['realised']:.2f} came true. The "
        f"multiplier {known['multiplier']:g} could be {known['multiplier'] * known['best']:.3g} today (95 %: "
        f"{known['multiplier'] * known['low']:.3g} to {known['multiplier'] * known['high']:.3g}); it would have saved "
        f"{known['saving']:.2f} {money} a decision ({known['saving_low']:.2f} to {known['saving_high']:.2f})."
    )
    advice = (
        "Recommendation: judge it on fresh data with credit policy set. Nothing is changed by this command."
        if known["changed"]
        else "Recommendation: keep the policy; the difference is within chance."
    )
    limits = (
        " Multipliers that approve more could not be judged: those turned down have no outcomes."
        if known["refused_unknown"]
        else ""
    )
    picture = html.figure(plots.cut_offs(known, money), "What other multipliers would have cost")
    return html.paragraph(text) + html.note(advice + limits) + picture

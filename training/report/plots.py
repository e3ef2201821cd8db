"""The plots of the report. Each returns SVG with a sentence that says what it shows."""

from typing import Any

from matplotlib.axes import Axes

from pages.svg import ACCENT, INK, MARKERS, MUTED, SERIES, STYLES, canvas, to_svg

POINTS = {  # name: (label, marker, series)
    "policy": ("policy", "*", 0),
    "argmax": ("argmax", "s", 1),
    "lost_good_applicants_cost_half": ("lost good applicants x 1/2", "v", 2),
    "lost_good_applicants_cost_double": ("lost good applicants x 2", "^", 2),
    "wrong_approvals_cost_half": ("wrong approvals x 1/2", "<", 3),
    "wrong_approvals_cost_double": ("wrong approvals x 2", ">", 3),
}


def thresholds(name: str, curve: dict[str, Any], number: int) -> str:
    """Precision and recall of one class by threshold."""
    with canvas() as (figure, axes):
        for i, measure in enumerate(("precision", "recall")):
            points = [(t, v) for t, v in zip(curve["threshold"], curve[measure], strict=True) if v is not None]
            axes.plot(*zip(*points, strict=True), color=SERIES[i], linestyle=STYLES[i], label=measure)
        axes.set(xlabel=f"called {name} from this probability on", ylabel="share", ylim=(-0.02, 1.02), xlim=(0, 1))
        axes.legend()
        at_half = [(m, curve[m][50]) for m in ("precision", "recall")]
        said = ", ".join(f"{m} {'not defined' if v is None else f'{v:.2f}'}" for m, v in at_half)
        return to_svg(figure, f"thresholds{number}", f"Precision and recall of {name} by threshold. At 0.5: {said}.")


def roc(by_class: dict[str, dict[str, list[float]]], areas: dict[str, float | None]) -> str:
    """True against false positives of each class; `areas` are the AUCs that are known."""
    with canvas(height=3.6) as (figure, axes):
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, label="chance")
        for i, (name, curve) in enumerate(by_class.items()):
            style: dict[str, Any] = {"color": SERIES[i % 6], "linestyle": STYLES[i % 6]}
            axes.plot(curve["false_positive"], curve["recall"], label=f"{name} against the rest", **style)
        axes.set(xlabel="false positives", ylabel="true positives", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(loc="lower right")
        said = ", ".join(f"{name} {'not defined' if area is None else f'{area:.3f}'}" for name, area in areas.items())
        return to_svg(figure, "roc", f"ROC curves of {len(by_class)} classes. Areas: {said}.")


def precision_recall(by_class: dict[str, dict[str, list[float]]], averages: dict[str, float | None]) -> str:
    """Precision against recall of each class, with the average precision of each."""
    with canvas(height=3.6) as (figure, axes):
        for i, (name, curve) in enumerate(by_class.items()):
            style: dict[str, Any] = {"color": SERIES[i % 6], "linestyle": STYLES[i % 6]}
            axes.plot(curve["recall"], curve["precision"], label=f"{name} against the rest", **style)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(loc="lower left")
        said = ", ".join(f"{n} {'not defined' if a is None else f'{a:.3f}'}" for n, a in averages.items())
        return to_svg(figure, "precision-recall", f"Precision-recall curves. Average precision: {said}.")


def calibration(bins_by_class: dict[str, list[dict[str, Any]]]) -> str:
    """Stated against actual shares of all classes."""
    with canvas(height=3.6) as (figure, axes):
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, label="perfect")
        widest = 0.0
        for i, (name, bins) in enumerate(bins_by_class.items()):
            stated, actual = [b["stated"] for b in bins], [b["actual"] for b in bins]
            _with_errors(axes, stated, actual, i, name)
            widest = max([widest, *(abs(s - a["value"]) for s, a in zip(stated, actual, strict=True))])
        axes.set(xlabel="stated probability", ylabel="actual share", xlim=(0, 1), ylim=(0, 1))
        axes.legend()
        said = f"Stated probabilities against actual shares with 95 % intervals. The widest gap is {widest:.3f}."
        return to_svg(figure, "calibration", said)


def _with_errors(axes: Axes, x: list[Any], figures: list[dict[str, Any]], series: int, label: str) -> None:
    kept = [(a, f) for a, f in zip(x, figures, strict=True) if f["value"] is not None]
    values = [f["value"] for _, f in kept]
    below = [max(0.0, f["value"] - f["low"]) for _, f in kept]
    above = [max(0.0, f["high"] - f["value"]) for _, f in kept]
    style: dict[str, Any] = {
        "color": SERIES[series % 6],
        "linestyle": STYLES[series % 6],
        "marker": MARKERS[series % 6],
    }
    axes.errorbar([a for a, _ in kept], values, (below, above), label=label, elinewidth=0.9, capsize=2, **style)


def trade_off(found: dict[str, Any], rate: str, label: str) -> str:
    """Draw false negatives against precision, with the chosen point and its alternatives."""
    with canvas(height=3.9) as (figure, axes):
        curve = [p for p in found["curve"] if p["precision"]["value"] is not None and p[rate]["value"] is not None]
        precision = [p["precision"]["value"] for p in curve]
        axes.plot(precision, [p[rate]["value"] for p in curve], color=MUTED, label="other prices")
        if all(p[rate]["low"] is not None for p in curve):
            bounds = [p[rate]["low"] for p in curve], [p[rate]["high"] for p in curve]
            axes.fill_between(precision, *bounds, color=MUTED, alpha=0.18, linewidth=0)
        for name, (text, marker, series) in POINTS.items():
            point = found["points"][name]
            if point["precision"]["value"] is not None:
                size = 12 if name == "policy" else 6
                place = point["precision"]["value"], point[rate]["value"]
                axes.plot(*place, marker=marker, markersize=size, linestyle="", color=SERIES[series], label=text)
        axes.set(xlabel="precision of the best class", ylabel=label)
        known = [found["points"][name][rate]["value"] for name in POINTS]
        low, high = limits([p[rate]["value"] for p in curve] + [v for v in known if v is not None])
        axes.set_ylim(low, min(high, 1.03))  # a share: a little room for markers at 1
        figure.legend(loc="outside lower center", ncols=2, fontsize=7.5)
        said = ", ".join(f"{POINTS[n][0]} {_at(found['points'][n], rate)}" for n in ("policy", "argmax"))
        name = f"trade-{rate}".replace("_", "-")
        return to_svg(figure, name, f"{label} against precision of the best class: {said}.")


def limits(values: list[float]) -> tuple[float, float]:
    """Return the ends of an axis by its points: a band of chance is cut off there rather than squash them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = max(0.35 * (high - low), 0.02 * abs(high), 1e-3)
    return max(0.0, low - room) if low >= 0 else low - room, high + room


def _at(point: dict[str, Any], rate: str) -> str:
    shown = ["not defined" if v is None else f"{v:.4f}" for v in (point[rate]["value"], point["precision"]["value"])]
    return f"{shown[0]} at precision {shown[1]}"


def cost(found: dict[str, Any], currency: str) -> str:
    """Draw cost per application by the price of wrong approvals."""
    with canvas() as (figure, axes):
        multiples = [p["multiple"] for p in found["curve"]]
        costs = [p["expected_cost"] for p in found["curve"]]
        axes.plot(multiples, [c["value"] for c in costs], color=SERIES[0], label="policy at this price")
        if all(c["low"] is not None for c in costs):
            bounds = [c["low"] for c in costs], [c["high"] for c in costs]
            axes.fill_between(multiples, *bounds, color=SERIES[0], alpha=0.18, linewidth=0)
        chosen, argmax = (found["points"][n]["expected_cost"]["value"] for n in ("policy", "argmax"))
        axes.axhline(argmax, color=SERIES[1], linestyle="--", label="argmax")
        axes.plot(1, chosen, marker="*", markersize=12, linestyle="", color=ACCENT, label="chosen policy")
        axes.set_ylim(*limits([argmax, chosen, *[c["value"] for c in costs]]))
        axes.set_xscale("log", base=2)
        axes.set_xticks([0.125, 0.25, 0.5, 1, 2, 4, 8], ["1/8", "1/4", "1/2", "1", "2", "4", "8"])
        axes.minorticks_off()
        axes.set(xlabel="price of a wrong approval, times the policy's", ylabel=f"{currency} an application")
        axes.legend()
        said = f"Cost per application: policy {chosen:.2f}, argmax {argmax:.2f} {currency}."
        return to_svg(figure, "cost", said)


def scores(edges: list[float], by_class: dict[str, list[float]]) -> str:
    """Draw the distribution of the credit score by actual class."""
    with canvas() as (figure, axes):
        for i, (name, shares) in enumerate(by_class.items()):
            axes.stairs(shares, edges, color=SERIES[i % 6], linestyle=STYLES[i % 6], label=name, linewidth=1.6)
        axes.set(xlabel="credit score", ylabel="share of the class")
        axes.legend()
        tops = {name: edges[shares.index(max(shares))] for name, shares in by_class.items()}
        said = ", ".join(f"{name} from {top} points" for name, top in tops.items())
        return to_svg(figure, "scores", f"Distribution of the credit score by actual class. Most frequent: {said}.")


def importance(features: list[dict[str, Any]]) -> str:
    """Draw mean absolute contributions, the largest on top."""
    with canvas(height=0.6 + 0.24 * len(features)) as (figure, axes):
        names = [_short(row["feature"]) for row in features][::-1]
        axes.barh(range(len(names)), [row["mean_absolute"] for row in features][::-1], color=SERIES[0], height=0.7)
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="mean absolute contribution")
        said = ", ".join(f"{row['feature']} {row['mean_absolute']:.3f}" for row in features[:5])
        return to_svg(figure, "importance", f"Mean absolute contributions of the features. Largest: {said}.")


def dependence(course: dict[str, Any], number: int) -> str:
    """Draw the contribution of a feature by its value: mean, and the middle 80 % of the applications."""
    with canvas(height=2.9) as (figure, axes):
        bins = course["bins"]
        places = range(len(bins))
        axes.fill_between(places, [b["low"] for b in bins], [b["high"] for b in bins], color=SERIES[0], alpha=0.2)
        axes.plot(places, [b["mean"] for b in bins], color=SERIES[0], marker="o")
        axes.axhline(0, color=INK, linewidth=0.7)
        axes.set_xticks(places, [b["values"] for b in bins], rotation=35, ha="right", fontsize=7.5)
        axes.set(ylabel="against the applicant", title=_short(course["feature"], 44))
        ends = f"{bins[0]['mean']:+.2f} at {bins[0]['values']}, {bins[-1]['mean']:+.2f} at {bins[-1]['values']}"
        return to_svg(figure, f"dependence{number}", f"Contribution of {course['feature']} by its value: {ends}.")


def months(rows: list[dict[str, Any]], best: str) -> str:
    """Draw precision, false negatives and the share of the best class by month."""
    with canvas(height=3.4) as (figure, axes):
        shown = [row for row in rows if "suppressed" not in row]
        series = {"good_share": f"share of {best}", "precision": "precision", "false_negative_rate": "false negatives"}
        for i, (key, label) in enumerate(series.items()):
            if all(key in row for row in shown):
                _with_errors(axes, list(range(len(shown))), [row[key] for row in shown], i, label)
        axes.set_xticks(range(len(shown)), [row["month"] for row in shown], rotation=35, ha="right", fontsize=7.5)
        axes.set(ylabel="share", ylim=(0, 1))
        figure.legend(loc="outside lower center", ncols=3, fontsize=7.5)
        return to_svg(figure, "months", f"Precision, false negatives and share of {best} in {len(shown)} months.")


def trials(rows: list[dict[str, Any]], currency: str) -> str:
    """Draw the cost of each candidate of the search, and the best so far."""
    with canvas() as (figure, axes):
        done = [(row["trial"], row["cost"]) for row in rows if row["cost"] is not None]
        best = [min(c for n, c in done if n <= number) for number, _ in done]
        axes.plot(*zip(*done, strict=True), linestyle="", marker="o", color=SERIES[1], label="candidate")
        axes.plot([n for n, _ in done], best, color=SERIES[0], drawstyle="steps-post", label="best so far")
        axes.set(xlabel="candidate, 0 is the recipe", ylabel=f"{currency} an application")
        axes.legend()
        least = min(c for _, c in done)
        said = f"Cost of {len(done)} candidates: the first {done[0][1]:.2f}, the best {least:.2f} {currency}."
        return to_svg(figure, "trials", said)


def _short(text: str, most: int = 30) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

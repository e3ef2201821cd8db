"""The plots of the monitor's page. Each returns SVG with a sentence that says what it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pages.svg import ACCENT, INK, MARKERS, MUTED, SERIES, STYLES, canvas, to_svg

_SHOWN = 12
_ROTATED = 8  # labels from which they stand upright


def ranking(found: Sequence[Mapping[str, Any]]) -> str:
    """PSI of what leads the ranking, with what chance reaches."""
    shown = list(found)[:_SHOWN][::-1]
    with canvas(height=max(2.2, 0.28 * len(shown) + 1)) as (figure, axes):
        places = range(len(shown))
        colours = [ACCENT if f["alarm"] else SERIES[0] for f in shown]
        axes.barh(places, [f["psi"] for f in shown], color=colours, height=0.6)
        bands = [(i, f["band"]) for i, f in enumerate(shown) if f["band"] is not None]
        end = axis_end([f["psi"] for f in shown])
        inside, beyond = [(i, b) for i, b in bands if b <= end], [i for i, b in bands if b > end]
        axes.plot([b for _, b in inside], [i for i, _ in inside], "|", color=INK, markersize=9, label="chance reaches")
        if beyond:
            axes.plot(
                [0.99 * end] * len(beyond), beyond, ">", color=MUTED, markersize=5, label="chance reaches further"
            )
        axes.set_xlim(0, end)
        axes.set_yticks(places, [short(f"{f['name']} ({f['kind']})", 34) for f in shown])
        axes.set(xlabel="PSI against training")
        _legend(figure)
        first = shown[-1]
        said = f"Drift of {len(shown)} things. First: {first['name']}, {first['kind']}, PSI {first['psi']:.3f}."
        return to_svg(figure, "ranking", said)


def axis_end(values: Sequence[float]) -> float:
    """Return where the axis of a PSI ends: by what moved, not by how far chance reaches where rows are few."""
    return max(0.12, 1.25 * max(values, default=0.0))


def bins(course: Mapping[str, Any], number: int) -> str:
    """Shares by bin, training beside the window."""
    labels = course["labels"]
    with canvas() as (figure, axes):
        places = range(len(labels))
        axes.bar([p - 0.2 for p in places], course["reference"], 0.38, color=MUTED, label="training")
        axes.bar([p + 0.2 for p in places], course["window"], 0.38, color=SERIES[0], label="window")
        _names(axes, labels)
        axes.set(ylabel="share")
        _legend(figure)
        widest = max(range(len(labels)), key=lambda i: abs(course["window"][i] - course["reference"][i]))
        said = (
            f"Shares of {course['name']} by bin. Widest: {labels[widest]}, {course['reference'][widest]:.1%} at "
            f"training, {course['window'][widest]:.1%} now."
        )
        return to_svg(figure, f"bins{number}", said)


def over_parts(courses: Sequence[Mapping[str, Any]], measure: str, label: str) -> str:
    """A measure of several items by door and period; for the PSI also what chance reaches in the least part."""
    with canvas() as (figure, axes):
        names = list(courses[0]["parts"])
        for i, course in enumerate(courses):
            values = [course["parts"][name][measure] for name in names]
            axes.plot(range(len(names)), values, color=SERIES[i % 6], marker=MARKERS[i % 6], linestyle=STYLES[i % 6])
            axes.lines[-1].set_label(short(course["name"], 26))
        if measure == "psi":
            known = [c["parts"][name]["band"] for c in courses for name in names]
            reach = max([0.1, *[band for band in known if band is not None]])
            end = axis_end([c["parts"][name][measure] or 0.0 for c in courses for name in names])
            where = "here" if reach <= end else f"{reach:.2f}, beyond the plot"
            axes.axhline(min(reach, end), color=ACCENT, linewidth=1, linestyle=":", label=f"alarm from {where}")
            axes.set_ylim(0, 1.02 * end)
        _names(axes, names)
        axes.set(ylabel=label)
        _legend(figure)
        last = courses[0]["parts"][names[-1]][measure] or 0.0
        said = f"{label} by part of the window; {courses[0]['name']} ends at {last:.3f} in {names[-1]}."
        return to_svg(figure, f"over-{measure}", said)


def mix(found: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Shares of assigned classes at training and by part of the window."""
    names = ["training", *found["parts"]]
    shares = [found["reference"], *found["parts"].values()]
    with canvas() as (figure, axes):
        base = [0.0] * len(names)
        for i, name in enumerate(classes):
            values = [part[i] for part in shares]
            axes.bar(range(len(names)), values, 0.7, bottom=base, color=SERIES[i % 6], label=name)
            base = [b + v for b, v in zip(base, values, strict=True)]
        _names(axes, names)
        axes.set(ylabel="share of decisions", ylim=(0, 1))
        _legend(figure, len(classes))
        said = ", ".join(f"{n} {s:.1%}" for n, s in zip(classes, shares[1], strict=True))
        return to_svg(figure, "mix", f"Classes that were assigned, at training and now. Whole window: {said}.")


def scores(found: Mapping[str, Any]) -> str:
    """Credit scores by bin of training."""
    edges = [f"{edge:g}" for edge in found["edges"]]
    course = {
        "name": "credit score",
        "labels": [f"to {edges[0]}", *[f"to {edge}" for edge in edges[1:]], f"over {edges[-1]}"] if edges else ["any"],
        "reference": found["reference"],
        "window": found["window"],
    }
    return bins(course, 99)


def course_of_metric(name: str, unit: str, points: Sequence[Mapping[str, Any]], trained: float | None) -> str:
    """A metric by part of the window: as stated with its interval, and as it came true where known."""
    with canvas() as (figure, axes):
        names = [point["where"] for point in points]
        _errors(axes, [p["stated"] for p in points], 0, "expected from probabilities")
        if any(p["realised"] is not None for p in points):
            _errors(axes, [p["realised"] for p in points], 1, "came true")
        if trained is not None:
            axes.axhline(trained, color=MUTED, linewidth=1, linestyle=":", label="at training")
        _names(axes, names)
        axes.set(ylabel=f"{name}{unit}")
        _legend(figure)
        value = next((p["stated"]["value"] for p in points if p["stated"] and p["stated"]["value"] is not None), 0.0)
        said = f"{name} by part of the window, with 95 % intervals; the first is expected at {value:.4g}."
        return to_svg(figure, f"course-{name.replace(' ', '-')}", said)


def _errors(axes: Axes, figures: Sequence[Mapping[str, Any] | None], series: int, label: str) -> None:
    known = [(i, f) for i, f in enumerate(figures) if f is not None and f["value"] is not None]
    values = [f["value"] for _, f in known]
    below = [max(0.0, f["value"] - (f["low"] if f["low"] is not None else f["value"])) for _, f in known]
    above = [max(0.0, (f["high"] if f["high"] is not None else f["value"]) - f["value"]) for _, f in known]
    places = [i + 0.12 * series for i, _ in known]
    axes.errorbar(
        places,
        values,
        (below, above),
        label=label,
        color=SERIES[series],
        marker=MARKERS[series],
        capsize=2,
        linestyle="none",
    )


def calibration(found: Sequence[Mapping[str, Any]], best: str) -> str:
    """Stated against actual share of the best class."""
    with canvas(height=3.6) as (figure, axes):
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, label="perfect")
        stated = [b["stated"]["value"] for b in found]
        actual = [b["actual"] for b in found]
        below = [max(0.0, a["value"] - a["low"]) for a in actual]
        above = [max(0.0, a["high"] - a["value"]) for a in actual]
        values = [a["value"] for a in actual]
        axes.errorbar(stated, values, (below, above), color=SERIES[0], marker="o", capsize=2, label=best)
        axes.set(xlabel="stated probability", ylabel="actual share", xlim=(0, 1), ylim=(0, 1))
        _legend(figure)
        widest = max([abs(s - a) for s, a in zip(stated, values, strict=True)], default=0.0)
        said = (
            f"Stated probability of {best} against what came true, with 95 % intervals. The widest gap is {widest:.3f}."
        )
        return to_svg(figure, "calibration", said)


def cut_offs(found: Mapping[str, Any], currency: str) -> str:
    """Realised cost by multiple of the policy's multiplier."""
    with canvas() as (figure, axes):
        multiples, costs = [m for m, _ in found["curve"]], [c for _, c in found["curve"]]
        axes.plot(multiples, costs, color=SERIES[0])
        axes.axvline(1, color=MUTED, linewidth=1, linestyle=":", label="as it is")
        axes.axvspan(found["low"], found["high"], color=SERIES[1], alpha=0.15, label="best lies here (95 %)")
        axes.set(xscale="log", xlabel="multiple of the policy's multiplier", ylabel=f"{currency} an application")
        axes.set_xticks([0.125, 0.25, 0.5, 1, 2, 4, 8], ["1/8", "1/4", "1/2", "1", "2", "4", "8"])
        axes.minorticks_off()
        _legend(figure)
        said = f"Realised cost by multiplier: {found['realised']:.2f} as it is, best at {found['best']:.2f} times it."
        return to_svg(figure, "cut-offs", said)


def _legend(figure: Figure, columns: int = 2) -> None:
    """Put the legend above the axes, where nothing that is drawn can lie under it."""
    figure.legend(loc="outside upper left", ncols=columns, fontsize=7)


def _names(axes: Axes, labels: Sequence[str]) -> None:
    upright = len(labels) > _ROTATED or max(map(len, labels)) > _ROTATED
    axes.set_xticks(range(len(labels)), [short(label, 22) for label in labels], rotation=90 if upright else 0)


def short(text: str, most: int) -> str:
    """Cut a label that is too long for a plot."""
    return text if len(text) <= most else text[: most - 1] + "…"

"""An evaluation in one or two plain sentences: how good, against what, and whether the sample can say it."""

from collections.abc import Iterator
from typing import Any

_FEW, _TOO_FEW = 200, 50  # judged applications of the rarest class
_WIDE = 0.10  # an interval of the AUC that says little
_BASELINES = {"approve_all": "approving everybody", "argmax": "taking the most probable class"}


def sentences(found: dict[str, Any], classes: tuple[str, ...], currency: str | None) -> Iterator[str]:
    """Yield what a reader must know of an evaluation of the policy (`metrics`, `confusion`, `against`), worst first.

    `currency` is None where costs are not known. What an evaluation of an earlier release lacks is not spoken of.
    """
    yield _how_good(found["metrics"], classes[-1], currency)
    if "counts" in found:
        yield "Each application counts by its weight, the number of applicants it stands for."
    yield from _compared(found.get("against", {}), currency)
    yield from _refusals(found["confusion"], classes)
    yield from _sample(found, classes)


def column_tells(alone: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each column (`column`, `auc` out of fold) that tells the class by itself."""
    for row in alone:
        yield (
            f"{row['column']} alone tells the class (AUC {row['auc']:.3f}, out of fold): it was probably written after "
            "the decision. Leave it out of the spec, unless it is known at as_of."
        )


def _how_good(metrics: dict[str, Any], best: str, currency: str | None) -> str:
    auc, gini, cost = (metrics.get(name) for name in ("auc", "gini", "expected_cost"))
    parts = []
    if auc is not None and gini is not None:
        parts.append(
            f"AUC cannot be stated: the judged applications are all, or none, {best}"
            if auc["value"] is None
            else f"AUC {_figure(auc, 3)} and Gini {_figure(gini, 3)} for {best} against the rest"
        )
    if cost is not None and cost["value"] is not None:
        parts.append(f"a decision costs {_figure(cost, 2, f' {currency}')}")
    elif (accuracy := metrics.get("accuracy")) is not None and accuracy["value"] is not None:
        parts.append(f"{_figure(accuracy, 3)} of the decisions name the class that came true")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _compared(against: dict[str, Any], currency: str | None) -> Iterator[str]:
    beaten = []
    for name, words in _BASELINES.items():
        if name not in against:
            continue
        gain = against[name]
        if gain["low"] is None:
            yield f"The policy is {_gain(gain, currency)} than {words}; how certain that is was not kept."
        elif gain["low"] > 0:
            beaten.append(f"{_gain(gain, currency)} than {words}")
        elif gain["low"] == gain["high"] == 0:
            yield f"The policy decides exactly as {words} would, so it adds nothing to it."
        else:
            verdict = "is worse than" if gain["high"] < 0 else "is not shown to beat"
            chance = "" if gain["high"] < 0 else ", which may be chance"
            yield f"The policy {verdict} {words}: {_gain(gain, currency)}{chance}."
    if beaten:
        yield f"The policy is better: {', and '.join(beaten)}."


def _gain(gain: dict[str, Any], currency: str | None) -> str:
    """Say what is saved, or, where the policy loses, what it costs more."""
    sign = 1 if gain["gain"] >= 0 else -1
    if gain["low"] is None:
        return f"{abs(gain['gain']):,.2f} {currency} an application {'cheaper' if sign > 0 else 'dearer'}"
    ends = sorted((sign * gain["low"], sign * gain["high"]))
    if gain["of"] == "accuracy":
        value, low, high = (100 * v for v in (sign * gain["gain"], *ends))
        return f"{value:,.1f} ({low:,.1f} to {high:,.1f}) errors in a hundred {'fewer' if sign > 0 else 'more'}"
    money = f"{sign * gain['gain']:,.2f} {currency} ({ends[0]:,.2f} to {ends[1]:,.2f}) an application"
    return f"{money} {'cheaper' if sign > 0 else 'dearer'}"


def _refusals(confusion: dict[str, dict[str, int]], classes: tuple[str, ...]) -> Iterator[str]:
    total = sum(sum(row.values()) for row in confusion.values())
    called = {name: sum(row[name] for row in confusion.values()) for name in classes}
    worst, best = classes[0], classes[-1]
    if not total:
        return
    if called[worst] == 0:
        yield f"The policy refuses nobody: no judged application is called {worst}."
    elif called[worst] == total:
        yield f"The policy refuses everybody: every judged application is called {worst}."
    else:
        shares = [f"{100 * called[name] / total:.1f} % {name}" for name in (worst, best)]
        yield f"The policy calls {' and '.join(shares)}."
    if called[best] == 0 and called[worst] != total:
        yield f"The policy approves nobody: no judged application is called {best}."


def _sample(found: dict[str, Any], classes: tuple[str, ...]) -> Iterator[str]:
    counts = found.get("counts") or {name: sum(found["confusion"][name].values()) for name in classes}
    rarest = min(classes, key=lambda name: counts[name])
    auc = found["metrics"].get("auc") or {"low": None}
    of = f"Only {counts[rarest]:,} of {found['applications']:,} judged applications are {rarest}"
    if counts[rarest] < _TOO_FEW:
        yield f"{of}: the sample is too small to say how good the model is."
    elif auc["low"] is not None and auc["high"] - auc["low"] > _WIDE:
        yield (
            f"{of}; AUC may be anything from {auc['low']:.2f} to {auc['high']:.2f}: the sample is too small to say "
            "more."
        )
    elif counts[rarest] < _FEW:
        yield f"{of}: read the intervals rather than the figures."


def _figure(figure: dict[str, Any], digits: int, unit: str = "") -> str:
    text = f"{figure['value']:,.{digits}f}{unit}"
    return text if figure["low"] is None else f"{text} ({figure['low']:,.{digits}f} to {figure['high']:,.{digits}f})"

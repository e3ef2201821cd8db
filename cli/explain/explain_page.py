"""The page of `credit explain --html`: one file, no network, light and dark, readable on a phone and on paper."""

from html import escape
from typing import Any

from features.spec.contract import Spec
from scoring.explanation import Explanation

_SHOWN = 15
_STYLE = """
:root { color-scheme: light dark; --against: #b3261e; --for: #1b6e3c; --line: #8884; --soft: #8882; }
@media (prefers-color-scheme: dark) { :root { --against: #ff8a80; --for: #7fd6a0; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
ol.reasons { border-left: .25rem solid var(--against); padding: .5rem 1rem .5rem 2.5rem; background: var(--soft); }
ol.reasons li { margin: .4rem 0; } small, .quiet { opacity: .75; } small { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
td.number { width: 4.5rem; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bar { width: 25%; min-width: 5rem; padding: .3rem .8rem; }
.track { position: relative; height: 1.5rem;
  background: linear-gradient(var(--line), var(--line)) center / 1px 100% no-repeat; }
.track i { position: absolute; top: .25rem; bottom: .25rem; print-color-adjust: exact; }
.against { left: 50%; background: var(--against); } .for { right: 50%; background: var(--for); }
@media (max-width: 40rem) { .features table { font-size: .8rem; }
  .features :is(th, td):is(:nth-child(2), :nth-child(3)) { display: none; }
  .features td:nth-child(4) { overflow-wrap: normal; } }
@media print { body { max-width: none; } .scroll { overflow: visible; } tr { break-inside: avoid; } }
"""


def _head(title: str) -> str:
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
        ]
    )


def _what(explanation: Explanation) -> str:
    worse, best = explanation.classes
    return (
        f"Contributions in {explanation.unit} of {escape(worse)} against {escape(best)}: + speaks against the "
        "applicant, - for the applicant. Exact Shapley values of the served model (path-dependent TreeSHAP)."
    )


def explain_page(explanation: Explanation, spec: Spec, language: str) -> str:
    """Return the page. `language` is that of the reasons' texts; figures stay in English."""
    decision = explanation.decision
    largest = max([abs(record["contribution"]) for record in explanation.features], default=0.0) or 1.0
    codes = explanation.by_code()
    largest_code = max(abs(value) for _, value in codes) or 1.0
    parts = [
        _head(f"Application {decision['application_id']}"),
        _facts(decision, spec),
        f'<h2>Reasons, as the applicant reads them</h2><div lang="{escape(language)}">{_reasons(decision)}</div>',
        "<h2>By reason code</h2>",
        f"<p>{_what(explanation)}</p>",
        _table(("contribution", "", "code"), [_row(value, largest_code, [code]) for code, value in codes]),
        f"<h2>The {min(_SHOWN, len(explanation.features))} features that moved it most</h2>",
        _table(
            ("contribution", "", "feature", "value", "median", "meaning"),
            [_feature(record, largest) for record in explanation.features[:_SHOWN]],
            "scroll features",
        ),
        f"<p class=quiet>{_rest(explanation)}</p>",
        f"<p><small>Decision {decision['decision_id']}<br>Bundle {decision['bundle_id']}</small></p>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _facts(decision: dict[str, Any], spec: Spec) -> str:
    chances = ", ".join(
        f"{escape(name)} {decision[column]:.1%}"
        for name, column in zip(spec.classes, spec.probability_columns, strict=True)
    )
    return (
        f"<p><strong>{escape(decision['credit_class'])}</strong>, {decision['credit_score']} points, as of "
        f"{decision['as_of']:%Y-%m-%d %H:%M} UTC. Probabilities: {chances}.</p>"
    )


def _reasons(decision: dict[str, Any]) -> str:
    if not decision["reasons"]:
        return f"<p>None: {escape(decision['credit_class'])} is the best class.</p>"
    items = "".join(
        f"<li>{escape(reason['text'])} <small>{escape(reason['code'])}"
        f"{', weak: nothing spoke against the applicant' if reason['weak'] else ''}</small></li>"
        for reason in decision["reasons"]
    )
    return f"<ol class=reasons>{items}</ol>"


def _feature(record: dict[str, Any], largest: float) -> str:
    unit = "" if record["unit"] in ("rank", "0 or 1") else record["unit"]
    value = "missing" if record["value"] is None else f"{record['text']} {unit}".strip()
    median = "" if record["median"] is None else f"{record['median']:g}"
    return _row(record["contribution"], largest, [record["feature"], value, median, record["description"]])


def _row(value: float, largest: float, cells: list[str]) -> str:
    side = "against" if value > 0 else "for"
    width = 50 * abs(value) / largest
    bar = f'<div class=track aria-hidden=true><i class={side} style="width:{width:.1f}%"></i></div>'
    texts = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><td class=number>{value:+.3f}</td><td class=bar>{bar}</td>{texts}</tr>"


def _table(header: tuple[str, ...], rows: list[str], classes: str = "scroll") -> str:
    cells = "".join(f"<th scope=col>{title}</th>" for title in header)
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="{classes}"><table>{body}</table></div>'


def _rest(explanation: Explanation) -> str:
    rest = explanation.features[_SHOWN:]
    total = sum(record["contribution"] for record in rest)
    return f"{len(rest)} other features together: {total:+.3f}." if rest else ""

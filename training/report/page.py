"""The report as one page: works offline, on a phone, on paper, in light and dark; no script, nothing loaded."""

from html import escape

from training.report import html
from training.report import sections_curves as curves
from training.report import sections_model as model
from training.report.content import Content
from training.report.sections_fairness import fairness

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --muted: #5b6672; --grid: #d9dee3; --accent: #b3470b;
  --box: #f4f6f8; --s0: #0b62a8; --s1: #b3470b; --s2: #0a7a5a; --s3: #8a3f8f; --s4: #6b6300; --s5: #444c55; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e8ebee; --muted: #a3adb8; --grid: #343c45;
  --accent: #ff9d5c; --box: #1d232a; --s0: #6bb6f5; --s1: #ff9d5c; --s2: #4fd1a5; --s3: #d99bdd; --s4: #d6c94a;
  --s5: #b8c0c8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; } h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem;
  border-top: 1px solid var(--grid); padding-top: 1rem; } h3 { font-size: 1.05rem; margin: 1rem 0 .3rem; }
a { color: var(--s0); } nav ul { columns: 16rem; padding-left: 1.2rem; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .7rem; margin: 1rem 0;
  padding: 0; }
.key div { background: var(--box); border-radius: .5rem; padding: .7rem .9rem; } .key dt { color: var(--muted);
  font-size: .85rem; } .key dd { margin: 0; font-size: 1.25rem; font-weight: 600; } .key small { display: block;
  font-size: .8rem; font-weight: 400; color: var(--muted); }
.note { border-left: .3rem solid var(--accent); background: var(--box); padding: .6rem .9rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
figure { margin: .8rem 0; max-width: 34rem; } figcaption { color: var(--muted); font-size: .85rem; }
svg.plot { width: 100%; height: auto; display: block; stroke-linejoin: round; }
.scroll { overflow-x: auto; margin: .8rem 0; } table { border-collapse: collapse; font-size: .88rem;
  font-variant-numeric: tabular-nums; min-width: 100%; } caption { text-align: left; color: var(--muted);
  padding: .3rem 0; } th, td { padding: .25rem .7rem .25rem 0; text-align: right; border-bottom: 1px solid var(--grid);
  vertical-align: top; } td small { display: block; color: var(--muted); white-space: nowrap; } th:first-child { text-align: left; font-weight: 500; }
  thead th { vertical-align: bottom;
  color: var(--muted); font-weight: 600; } footer { color: var(--muted); font-size: .85rem; margin-top: 2rem; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --muted: #444; --grid: #ccc; --box: #f3f3f3;
  --accent: #8a3400; --s0: #0b4f8a; --s1: #8a3400; --s2: #06543e; --s3: #6b2d70; --s4: #5a5300; --s5: #333; }
  body { font-size: 10pt; max-width: none; padding: 0; } nav { display: none; } .scroll { overflow: visible; }
  table { font-size: 7.5pt; } figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""

_SECTIONS = (
    ("purpose", "What it is for", model.about),
    ("data", "Data and splits", model.data),
    ("metrics", "How good it is", model.metrics),
    ("policy", "What lost good applicants cost", curves.policy),
    ("thresholds", "Thresholds", curves.thresholds),
    ("calibration", "Calibration", curves.calibration),
    ("scores", "Scores", curves.scores),
    ("importance", "What decides", curves.importance),
    ("months", "Months", curves.months),
    ("slices", "Slices", curves.slices),
    ("fairness", "Fairness", fairness),
    ("leaks", "Leak checks", model.leak_checks),
    ("tuning", "Search", model.search),
    ("parity", "Parity", model.parity),
)


def render(content: Content) -> str:
    """Return the report. The same content gives the same bytes."""
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in _SECTIONS)
    body = "\n".join(make(content) for _, _, make in _SECTIONS)
    facts = content.facts
    title = f"{facts['name']}: model report"
    kind = f"{facts['model']['kind']}, {facts['model']['trees']} trees, {len(facts['model']['features'])} features"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="credit report">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
{html.paragraph(f"{kind}. Judged on {content.judged}.")}
{_key_figures(content)}
{curves.starved(content)}</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}
</main>
<footer>Made by <code>credit report</code> from the bundle's own figures. Intervals are 95 %, by customer.</footer>
</body>
</html>
"""


def _key_figures(content: Content) -> str:
    points, best = content.figures["trade_off"]["points"], content.spec.best_class
    policy, argmax = points["policy"], points["argmax"]
    shown = (
        (
            f"{best} called {content.spec.classes[0]}",
            html.percent(policy["false_negative_rate"], 2),
            html.percent(argmax["false_negative_rate"], 2),
        ),
        (f"Precision of {best}", html.percent(policy["precision"]), html.percent(argmax["precision"])),
        (f"Recall of {best}", html.percent(policy["recall"]), html.percent(argmax["recall"])),
        (
            f"Cost of an application, {content.currency}",
            html.number(policy["expected_cost"], 2),
            html.number(argmax["expected_cost"], 2),
        ),
    )
    boxes = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value.partition(' (')[0])}<small>{escape(_interval(value))}argmax "
        f"{escape(other.partition(' (')[0])}</small></dd></div>"
        for name, value, other in shown
    )
    return f'<dl class="key">{boxes}</dl>'


def _interval(text: str) -> str:
    inside = text.partition(" (")[2].removesuffix(")")
    return f"{inside}; " if inside else ""

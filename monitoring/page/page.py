"""The monitor's page: the light in words, alarms, then figures. Offline, on a phone, on paper, in light and dark."""

from html import escape
from typing import Any

from monitoring.page import page_drift, page_performance
from pages import html

_SHOWN = 12
_LIGHT_STYLE = """
.light { display: flex; gap: 1rem; align-items: center; border-radius: .5rem; padding: 1rem; background: var(--box); }
.light p { margin: 0; font-size: 1.1rem; }
.light i { flex: none; width: 2.6rem; height: 2.6rem; border-radius: 50%; print-color-adjust: exact; }
.light b { text-transform: uppercase; letter-spacing: .05em; }
.green i { background: #2e8b57; } .amber i { background: #e0a100; } .red i { background: #c62828; }
.alarm { border-left: .3rem solid var(--accent); padding: .1rem .9rem; margin: .8rem 0; background: var(--box); }
.alarm { break-inside: avoid; } .alarm h3 { margin: .5rem 0 .2rem; } .alarm dl { margin: .3rem 0 .6rem; }
.alarm dt { color: var(--muted); font-size: .85rem; }
.alarm dd { margin: 0 0 .3rem; }
"""


def render(found: dict[str, Any]) -> str:
    """Return the page of `monitoring.page.content.content`. The same figures give the same bytes."""
    window = found["window"]
    said = (
        f"{window['decisions']:,} decision{'s' if window['decisions'] != 1 else ''} on applications from "
        f"{window['first'][:10]} to {window['last'][:10]}, by "
        f"bundle {found['bundle_id'][:12]}."
    )
    return html.Page(
        made_by="credit monitor",
        title=f"{found['name']}: monitoring",
        top=[html.paragraph(said), _light(found), *map(html.note, found["notes"])],
        sections=[(name, heading, html.section(name, heading, make(found))) for name, heading, make in _SECTIONS],
        about="; the JSON file beside this page has the same figures.",
        more_style=_LIGHT_STYLE,
    ).text()


def _light(found: dict[str, Any]) -> str:
    name, words = found["light"], escape(found["headline"])
    return f'<div class="light {name}" role="status"><i></i><p><b>{name}</b> {words}</p></div>'


def _alarms(found: dict[str, Any]) -> str:
    if not found["alarms"]:
        return html.paragraph("None. What moved within chance, or too little to matter, is in the tables below.")
    shown, rest = found["alarms"][:_SHOWN], found["alarms"][_SHOWN:]
    rows = [(a["topic"], html.Words(a["what"]), a["where"], html.Words(a["why"])) for a in rest]
    table = html.table(("alarm", "what", "where", "reason"), rows, f"{len(rest)} more alarms") if rest else ""
    return "".join(_alarm(alarm) for alarm in shown) + table


def _alarm(alarm: dict[str, Any]) -> str:
    terms = (("Reason", alarm["why"]), ("Threshold", alarm["threshold"]), ("What to do", alarm["do"]))
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in terms)
    head = f"{alarm['what'][:1].upper()}{alarm['what'][1:]} ({alarm['where']})"
    return f'<div class="alarm"><h3>{escape(head)}</h3><dl>{rows}</dl></div>'


_SECTIONS = (
    ("alarms", "Alarms", _alarms),
    ("drift", "What moved", page_drift.drift),
    ("outputs", "Classes and scores", page_drift.outputs),
    ("expected", "Performance before outcomes", page_performance.expected),
    ("outcomes", "Performance with outcomes", page_performance.outcomes),
    ("cutoffs", "Cut-offs", page_performance.cut_offs),
    ("doors", "Doors", page_drift.doors),
    ("method", "How this is computed", page_drift.method),
)

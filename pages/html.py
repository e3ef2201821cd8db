"""Small pieces of HTML. All text passes `escape` here."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

_STYLE = Path(__file__).with_name("style.css")
_SHORT = 12  # characters of a row's heading that is not broken into lines
_LONG = 30  # characters of a cell that may be broken into lines
_TEXT = ' class="long"'
_WORD = ' class="word"'
_CODE = re.compile("`([^`]+)`")


class Words(str):
    """A cell of words, which may be broken into lines and stands to the left."""

    __slots__ = ()


def _said(text: str) -> str:
    """Escape a text; what stands between back-ticks is code, and is not broken into lines."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{_said(text)}</p>"


def note(text: str) -> str:
    """Return a paragraph that stands out."""
    return f'<p class="note" role="note">{_said(text)}</p>'


def bullets(items: Sequence[str]) -> str:
    """Return a list."""
    return "<ul>" + "".join(f"<li>{_said(item)}</li>" for item in items) + "</ul>"


def table(header: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """Return a table that scrolls by itself where it is too wide; the first cell of a row is its heading."""
    words = {i for row in rows for i, cell in enumerate(row) if i and _is_text(cell)}
    head = "".join(f'<th scope="col"{_TEXT if i in words else ""}>{escape(cell)}</th>' for i, cell in enumerate(header))
    body = "".join(f"<tr>{_heading(str(row[0]))}{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    return (
        f'<p class="caption">{escape(caption)}</p><div class="scroll" tabindex="0" role="group" '
        f'aria-label="{escape(caption)}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _heading(name: str) -> str:
    return f'<th scope="row"{_WORD if len(name) <= _SHORT else ""}>{escape(name)}</th>'


def _is_text(cell: object) -> bool:
    """Tell whether a cell is words that read from the left, and so its column's heading does."""
    return not isinstance(cell, int) and (isinstance(cell, Words) or len(str(cell).partition(" (")[0]) > _LONG)


def _cell(cell: object) -> str:
    """Return a number, or a text whose part in brackets, an interval or a share, stands below in small."""
    if isinstance(cell, int):
        return f"<td>{cell:,}</td>"
    value, _, aside = str(cell).partition(" (")
    if _is_text(cell):
        return f"<td{_TEXT}>{escape(str(cell))}</td>"
    return f"<td>{escape(value)}" + (f"<small>{escape(aside.removesuffix(')'))}</small></td>" if aside else "</td>")


def figure(svg: str, caption: str) -> str:
    """Return a plot with its caption."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def grid(figures: Sequence[str]) -> str:
    """Return plots side by side where there is room."""
    return f'<div class="grid">{"".join(figures)}</div>'


def section(name: str, title: str, *parts: str) -> str:
    """Return a section with its heading."""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: `made_by` is the command; `top` stands under the title, `sections` are name, heading and HTML each.

    `top` and the sections' HTML are taken as they are; `more_style` is added to that of all reports.
    """

    made_by: str
    title: str
    top: Sequence[str]
    sections: Sequence[tuple[str, str, str]]
    about: str
    more_style: str = ""

    def text(self) -> str:
        """Return the page: offline, on a phone, on paper, in light and dark; no script, nothing loaded."""
        links = "".join(f'<li><a href="#{name}">{escape(heading)}</a></li>' for name, heading, _ in self.sections)
        top, body = "\n".join(self.top), "\n".join(content for _, _, content in self.sections)
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{escape(self.made_by)}">
<title>{escape(self.title)}</title>
<link rel="icon" href="data:,">
<style>
{_STYLE.read_text(encoding="utf-8")}{self.more_style}</style>
</head>
<body>
<header><h1>{escape(self.title)}</h1>
{top}</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}
</main>
<footer>Made by <code>{escape(self.made_by)}</code>{escape(self.about)}</footer>
</body>
</html>
"""


def percent(found: dict[str, Any] | None, digits: int = 1) -> str:
    """Format a share with its interval."""
    return _with_interval(found, lambda share: f"{100 * share:.{digits}f}", " %")


def number(found: dict[str, Any] | None, digits: int = 4) -> str:
    """Format a figure with its interval."""
    return _with_interval(found, lambda value: f"{value:,.{digits}f}", "")


def _with_interval(found: dict[str, Any] | None, form: Callable[[float], str], unit: str) -> str:
    if found is None:
        return "-"
    if found["value"] is None:
        return "not defined"
    value = form(found["value"]) + unit
    return value if found["low"] is None else f"{value} ({form(found['low'])} to {form(found['high'])})"

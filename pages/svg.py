"""Matplotlib figures as inline SVG: text stays text, colours follow the page, the same figures give the same bytes."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["ACCENT", "INK", "MARKERS", "MUTED", "SERIES", "STYLES", "canvas", "to_svg"]

# Colours that stand for variables of the page, which light and dark mode set; replaced after drawing.
INK, MUTED, GRID, ACCENT = "#010203", "#020304", "#030405", "#040506"
SERIES = ("#050607", "#060708", "#070809", "#08090a", "#090a0b", "#0a0b0c")
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent"} | {c: f"s{i}" for i, c in enumerate(SERIES)}
STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "credit",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
}


@contextmanager
def canvas(width: float = 4.6, height: float = 3.1) -> Iterator[tuple[Figure, Axes]]:
    """Open a figure (inches) in the report's style."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Return the figure as an <svg> element that carries its text alternative; `name` makes its ids unique.

    `Figure.savefig` would lay it out and draw it twice, which takes a second and a half of a report's time.
    """
    buffer = io.StringIO()
    drawn_by: Any = FigureCanvasSVG(figure)  # matplotlib has no types there
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # only measured here; the browser has its fonts
        drawn_by.print_svg(buffer, metadata={"Date": None, "Creator": None})
    drawn = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", drawn, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text[text.index("<svg") :])
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    head = f'<svg role="img" aria-label="{escape(description)}" class="plot" '
    text = re.sub(r' (?:width|height)="[0-9.]+pt"', "", text, count=2)
    return re.sub(r"\n\s*", "\n", text.replace("<svg ", head, 1)).strip()

"""How figures stand in tables: shares in percent, money with cents, others with four digits; with their interval."""

from typing import Any

from metrics import Metric, Unit, find
from pages import html


def cell(metric: Metric, figure: dict[str, Any] | None, digits: int = 1) -> str:
    """Format a figure of a metric; `digits` of a percentage."""
    if metric.unit is Unit.SHARE:
        return html.percent(figure, digits if metric.matters is None or metric.matters > 0.01 else digits + 1)
    return html.number(figure, 2 if metric.unit is Unit.MONEY else 4)


def plain(name: str, figure: dict[str, Any] | None) -> str:
    """Format a figure of an evaluation by its name there, shares as numbers from 0 to 1."""
    metric = find(name)
    if figure is not None and figure["low"] is not None and figure["low"] == figure["high"]:
        figure = {**figure, "low": None, "high": None}  # fixed by how it is decided, as of approving everybody
    return html.number(figure, 2 if metric is not None and metric.unit is Unit.MONEY else 4)

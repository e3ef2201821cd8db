"""Figures of an evaluation as tables on the terminal."""

from typing import Any

from cli.console import say_table
from metrics import order


def metric_rows(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Format metrics as rows: name, value, 95 % interval."""
    rows = []
    for name, figure in sorted(evaluation["metrics"].items(), key=lambda item: order(item[0])):
        value, low, high = (figure[key] for key in ("value", "low", "high"))
        interval = "" if low is None else f"{low:.4f} to {high:.4f}"
        rows.append((name, "not defined" if value is None else f"{value:.4f}", interval))
    return rows


def say_curves(curves: dict[str, dict[str, list[float]]]) -> None:
    """Print some points of the ROC and of the precision-recall curve of each class against the rest."""
    rows = []
    for name, curve in curves.items():
        for wanted in (0.25, 0.5, 0.75, 0.9):
            at = next((i for i, recall in enumerate(curve["recall"]) if recall >= wanted), None)
            if at is not None:
                figures = (f"{curve[key][at]:.4f}" for key in ("recall", "false_positive", "precision"))
                rows.append((f"{name} against the rest", *figures))
    say_table(("ROC and precision-recall", "true positives (recall)", "false positives", "precision"), rows)

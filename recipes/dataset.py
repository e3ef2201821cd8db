"""What a recipe makes: canonical tables and the spec that belongs to them."""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

__all__ = ["Dataset"]

SPECS = Path(__file__).parent / "specs"
EVENTS_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "kind": pl.String(),
        "amount": pl.Decimal(18, 2),
        "recorded_at": pl.Datetime("us", "UTC"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Canonical tables. `raw_applications`: cells are untouched text and belong into a CSV file.

    `extras` are further tables by file stem, such as the truth behind synthetic outcomes.
    """

    applications: pl.DataFrame
    events: pl.DataFrame
    labels: pl.DataFrame
    spec_text: str
    raw_applications: bool = False
    extras: dict[str, pl.DataFrame] = field(default_factory=dict)


def spec_text(name: str) -> str:
    """Return the commented spec of a recipe."""
    return (SPECS / f"{name}.toml").read_text(encoding="utf-8")

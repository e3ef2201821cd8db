"""Golden rows: invented inputs with the outputs that the export saw. Every process re-scores them before it serves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from features.errors import BundleError, InputError
from scoring.bundle.folder import GOLDEN, Bundle

TOLERANCE = 1e-6


class HasDecisions(Protocol):
    """What scoring returns, as far as golden rows look at it."""

    @property
    def decisions(self) -> pl.DataFrame:
        """One row per application."""


@dataclass(frozen=True, slots=True)
class GoldenMatch:
    """How the golden rows came out: `bits` if every bit agreed, else the largest difference of a probability."""

    rows: int
    bits: bool
    largest_difference: float


def golden_frame(applications: pl.DataFrame, events: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """Pack golden rows for the bundle: one row per application, with its events and what was decided.

    Each golden application needs a customer of its own, or its events would be packed twice.
    """
    histories = events.select("customer_id", pl.struct(pl.all()).alias("events")).group_by("customer_id").agg("events")
    expected = decisions.select("application_id", pl.struct(_compared(decisions)).alias("decision"))
    return (
        applications.select("application_id", "customer_id", pl.struct(pl.all()).alias("application"))
        .join(histories, on="customer_id", how="left", maintain_order="left")
        .join(expected, on="application_id", how="inner", maintain_order="left", validate="1:1")
        .select("application", "events", "decision")
    )


def _compared(decisions: pl.DataFrame) -> list[str]:
    """All columns but those that hold the bundle's id, which is not known when golden rows are written."""
    return [name for name in decisions.columns if name not in ("decision_id", "bundle_id")]


def check_golden(
    bundle: Bundle, score: Callable[[pl.DataFrame, pl.DataFrame], HasDecisions], *, same_family: bool
) -> GoldenMatch:
    """Score the golden rows and compare: bit by bit on the CPU family of the export, else within 1e-6.

    Raises:
        BundleError: they differ.

    """
    try:
        expected, decisions = _replay(bundle.golden, score)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, InputError, ValueError) as error:
        raise BundleError(f"{bundle.path / GOLDEN}: does not hold golden rows. Publish the bundle again.") from error
    found = decisions.select(_compared(decisions))
    if expected.is_empty():
        raise BundleError(
            f"{bundle.path / GOLDEN}: holds no rows, so that nothing is proved. Publish the bundle again."
        )
    if found.schema != expected.schema or found.height != expected.height:
        raise BundleError(f"{bundle.path / GOLDEN}: {expected.height} golden rows expected, {found.height} came out.")
    if found.equals(expected):
        return GoldenMatch(expected.height, bits=True, largest_difference=0.0)
    names = list(bundle.spec.probability_columns)
    difference = float(np.abs(found[names].to_numpy() - expected[names].to_numpy()).max())
    classes = found[["credit_class", "reasons"]].equals(expected[["credit_class", "reasons"]])
    if same_family or difference > TOLERANCE or not classes:
        raise BundleError(
            f"{bundle.path / GOLDEN}: golden rows come out differently here (largest difference {difference:.1e}, "
            f"classes and reasons {'equal' if classes else 'differ'}). Libraries differ from those in manifest.json: "
            "install the pinned ones, or train and export on this machine."
        )
    return GoldenMatch(expected.height, bits=False, largest_difference=difference)


def _replay(
    golden: pl.DataFrame, score: Callable[[pl.DataFrame, pl.DataFrame], HasDecisions]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    events = golden.select(pl.col("events").explode()).drop_nulls("events").unnest("events")
    decisions = score(golden.select("application").unnest("application"), events).decisions
    return golden.select("decision").unnest("decision"), decisions

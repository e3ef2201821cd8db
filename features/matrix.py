"""The feature matrix: canonical applications and events in, one float32 row per usable application out.

`build_features` is the only way to a feature row, at training and at every door.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import CUSTOMER, ROW, read_applications
from features.attribute_columns import attribute_columns, attribute_features, plain_attribute_columns
from features.carried import Carried, read_plainly
from features.event_arrays import Float64s
from features.rejects import APPLICATIONS, Dirt, dirt_frame, rejects_frame
from features.rfm.events import APPLICATION_ROW, Events, customers_by_row, read_carried_events, read_events
from features.rfm.matches import NO_MATCHES, Matches, Matching, match
from features.rfm.quantities import rfm_columns, rfm_features
from features.rfm.stored import Stored
from features.spec.contract import Feature, Spec
from features.why_missing import Why, write_marks

__all__ = ["FeatureTable", "build_carried", "build_features", "list_features", "mark_missing"]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Usable applications in input order with their features, and the account of everything else.

    `applications`: |row (1-based input row), application_id, customer_id, as_of (Int64 microseconds), clean attributes,
    |customer (number of the history that was used).
    `matrix`: float32, one row per application, one column per feature; one NaN pattern, until `mark_missing` tells the
    missing values apart, and no negative zero.
    `matching`: which applications have a usable event; None where feature rows came without their events.
    `why`: by attribute the positions of rows without a value although something was given, see `features.why_missing`.
    """

    applications: pl.DataFrame
    matrix: NDArray[np.float32]
    rejects: pl.DataFrame
    counted: list[Dirt]
    matching: Matching | None = None
    why: Mapping[str, Why] = field(default_factory=dict)

    @property
    def matches(self) -> Matches:
        """How many applications have a usable event."""
        return NO_MATCHES if self.matching is None else self.matching.counts

    @property
    def dirt(self) -> pl.DataFrame:
        """Cells that became missing and events that were skipped, by cause, as `features.rejects.DIRT`."""
        return dirt_frame(self.counted)


def mark_missing(table: FeatureTable, spec: Spec) -> None:
    """Write into the matrix, in place, why values are missing."""
    if table.why:
        columns: dict[str, list[int]] = {}
        for index, feature in enumerate(attribute_features(spec)):
            columns.setdefault(feature.source, []).append(index)
        for name, why in table.why.items():
            write_marks(table.matrix, columns.get(name, ()), why)


def list_features(spec: Spec) -> list[Feature]:
    """List the columns of the feature matrix: attributes in the order of the spec, then RFM groups."""
    return attribute_features(spec) + rfm_features(spec)


def build_features(
    applications: pl.DataFrame, events: pl.DataFrame, spec: Spec, stored: Stored | None = None
) -> FeatureTable:
    """Clean, check and compute. Rows in = rows of `matrix` + rejects of the table "applications".

    Events belong to customers; or, where their frame has a column application_row (1-based row of `applications`), to
    the application that carries them, as in a message: then no application sees another one's events, and `stored` may
    hold those of applications that carry none.

    Raises:
        InputError: a table lacks a column or holds one of a type that cannot be read.

    """
    read = read_applications(applications, spec)
    if APPLICATION_ROW in events.columns:
        numbers = np.arange(read.accepted.height, dtype=np.int64)
        accepted = read.accepted.hstack([pl.Series(CUSTOMER, numbers)])
        account = read_carried_events(events, accepted, applications.height, spec)
        if stored is not None:
            account = stored.added_to(account, customers_by_row(accepted, applications.height))
    else:
        accepted, customers = _number_customers(read.accepted)
        account = read_events(events, customers, spec)
    accepted, event_rejects = _reject_for_events(accepted, account)
    columns = [*attribute_columns(accepted, spec), *_rfm(accepted, account, spec)]
    rejects = [frame for frame in (read.rejects, event_rejects, account.rejects) if frame.height]
    return FeatureTable(
        applications=accepted,
        matrix=_to_float32(columns, accepted.height),
        rejects=pl.concat(rejects).sort("table", "row") if rejects else read.rejects,
        counted=[*read.dirt, *account.dirt],
        matching=match(accepted[CUSTOMER].to_numpy(), accepted["as_of"].to_numpy(), account.usable, spec),
        why=_in_rows(read.why, accepted),
    )


def build_carried(carried: Carried, spec: Spec) -> FeatureTable:
    """Build features of applications that carry their events; the same bits as of their frames.

    Where no frame was needed, `applications` lacks the attributes.

    Raises:
        InputError: an application has more events in one window than exact sums are guaranteed for.

    """
    rows = read_plainly(carried, spec)
    if rows is None:
        return build_features(*carried.frames(), spec, carried.stored)
    numbers = np.arange(len(rows.as_of), dtype=np.int64)
    columns = [*plain_attribute_columns(rows.values, spec), *rfm_columns(numbers, rows.as_of, rows.events, spec)]
    ids = [pl.Series("application_id", rows.application_ids), pl.Series("customer_id", rows.customer_ids)]
    return FeatureTable(
        applications=pl.DataFrame([*ids, pl.Series("as_of", rows.as_of)]),
        matrix=_to_float32(columns, len(rows.as_of)),
        rejects=rejects_frame(),
        counted=rows.dirt,
        matching=match(numbers, rows.as_of, rows.events, spec),
        why=rows.why,
    )


def _in_rows(why: Mapping[str, Why], accepted: pl.DataFrame) -> dict[str, Why]:
    """Return positions of input rows as those of rows that were accepted, in the same order; others are left out."""
    numbers = accepted[ROW].to_numpy() - 1
    if not len(numbers):
        return {}
    found = {}
    for name, (rows, marks) in why.items():
        places = np.searchsorted(numbers, rows).clip(max=len(numbers) - 1)
        own = numbers[places] == rows
        found[name] = (places[own], marks[own])
    return found


def _number_customers(accepted: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    customers = accepted.select(pl.col("customer_id").unique(maintain_order=True)).with_columns(
        customer=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    numbered = accepted.join(
        customers.rename({"customer": CUSTOMER}), on="customer_id", how="left", maintain_order="left"
    )
    return numbered, customers


def _reject_for_events(accepted: pl.DataFrame, account: Events) -> tuple[pl.DataFrame, pl.DataFrame]:
    """An unusable event rejects every application of its customer: without it the features would be a guess."""
    if account.unusable.is_empty():
        return accepted, rejects_frame()
    own = accepted.select(pl.col(ROW).alias("row"), "application_id", pl.col(CUSTOMER).alias("customer"))
    rejected = own.join(account.unusable, on="customer", how="inner", maintain_order="left").select(
        pl.lit(APPLICATIONS).alias("table"), "row", "application_id", "column", "code", "event_row"
    )
    kept = accepted.join(account.unusable, left_on=CUSTOMER, right_on="customer", how="anti", maintain_order="left")
    return kept, rejects_frame(rejected)


def _rfm(accepted: pl.DataFrame, account: Events, spec: Spec) -> list[Float64s]:
    return rfm_columns(accepted[CUSTOMER].to_numpy(), accepted["as_of"].to_numpy(), account.usable, spec)


def _to_float32(columns: list[Float64s], height: int) -> NDArray[np.float32]:
    """The one cast to float32, with one pattern for NaN and one zero, so that equal rows are equal bytes."""
    matrix = np.empty((height, len(columns)), dtype=np.float32)
    for i, column in enumerate(columns):
        matrix[:, i] = column
    matrix[np.isnan(matrix)] = np.float32(np.nan)
    matrix += np.float32(0)  # -0 + 0 = 0
    return matrix

"""The feature matrix: canonical applications and events in, one float32 row per usable application out.

`build_features` is the only way to a feature row, at training and at every door.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import read_applications
from features.events import APPLICATION_ROW, Events, read_carried_events, read_events
from features.reading import has_few_rows
from features.rejects import APPLICATIONS, Dirt, dirt_frame, rejects_frame
from features.rfm import rfm_columns, rfm_features
from features.spec import Attribute, AttributeKind, Feature, Spec

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Usable applications in input order with their features, and the account of everything else.

    `applications`: row (1-based input row), application_id, customer_id, as_of (Int64 microseconds), clean attributes,
    customer (number of the history that was used).
    `matrix`: float32, one row per application, one column per feature; one NaN pattern, no negative zero.
    """

    applications: pl.DataFrame
    matrix: NDArray[np.float32]
    rejects: pl.DataFrame
    counted: list[Dirt]

    @property
    def dirt(self) -> pl.DataFrame:
        """Cells that became missing and events that were skipped, by cause, as `features.rejects.DIRT`."""
        return dirt_frame(self.counted)


def list_features(spec: Spec) -> list[Feature]:
    """List the columns of the feature matrix: attributes in the order of the spec, then RFM groups."""
    return [feature for attribute in spec.attributes for feature in _attribute_features(attribute, spec)] + (
        rfm_features(spec)
    )


def build_features(applications: pl.DataFrame, events: pl.DataFrame, spec: Spec) -> FeatureTable:
    """Clean, check and compute. Rows in = rows of `matrix` + rejects of the table "applications".

    Events belong to customers; or, where their frame has a column application_row (1-based row of `applications`), to
    the application that carries them, as in a message: then no application sees another one's events.

    Raises:
        InputError: a table lacks a column or holds one of a type that cannot be read.

    """
    read = read_applications(applications, spec)
    if APPLICATION_ROW in events.columns:
        numbers = np.arange(read.accepted.height, dtype=np.int64)
        accepted = read.accepted.hstack([pl.Series("customer", numbers)])
        account = read_carried_events(events, accepted, applications.height, spec)
    else:
        accepted, customers = _number_customers(read.accepted)
        account = read_events(events, customers, spec)
    accepted, event_rejects = _reject_for_events(accepted, account)
    columns = [*_attribute_columns(accepted, spec), *_rfm(accepted, account, spec)]
    rejects = [frame for frame in (read.rejects, event_rejects, account.rejects) if frame.height]
    return FeatureTable(
        applications=accepted,
        matrix=_to_float32(columns, accepted.height),
        rejects=pl.concat(rejects).sort("table", "row") if rejects else read.rejects,
        counted=[*read.dirt, *account.dirt],
    )


def _number_customers(accepted: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    customers = accepted.select(pl.col("customer_id").unique(maintain_order=True)).with_columns(
        customer=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    return accepted.join(customers, on="customer_id", how="left", maintain_order="left"), customers


def _reject_for_events(accepted: pl.DataFrame, account: Events) -> tuple[pl.DataFrame, pl.DataFrame]:
    """An unusable event rejects every application of its customer: without it the features would be a guess."""
    if account.unusable.is_empty():
        return accepted, rejects_frame()
    rejected = accepted.join(account.unusable, on="customer", how="inner", maintain_order="left").select(
        pl.lit(APPLICATIONS).alias("table"), "row", "application_id", "column", "code", "event_row"
    )
    kept = accepted.join(account.unusable, on="customer", how="anti", maintain_order="left")
    return kept, rejects_frame(rejected)


def _attribute_features(attribute: Attribute, spec: Spec) -> Iterator[Feature]:
    if attribute.kind is AttributeKind.TEXT:
        return
    name, text = attribute.name, attribute.description or attribute.name
    if attribute.kind is AttributeKind.CATEGORY and attribute.ordered:
        order = ", ".join(f"{i} {value}" for i, value in enumerate(attribute.values))
        yield Feature(name=name, unit="rank", description=f"{text} ({order})", source=name)
    elif attribute.kind in (AttributeKind.CATEGORY, AttributeKind.LIST):
        unit = "0 or 1" if attribute.kind is AttributeKind.CATEGORY else "occurrences"
        for value in attribute.values:
            yield Feature(name=f"{name}={value}", unit=unit, description=f"{text}: {value}", source=name)
    else:
        defaults = {AttributeKind.MONEY: spec.currency.code, AttributeKind.DURATION: "months"}
        unit = attribute.unit or defaults.get(attribute.kind, "")
        yield Feature(name=name, unit=unit, description=text, source=name)


def _attribute_columns(accepted: pl.DataFrame, spec: Spec) -> Iterator[Numbers]:
    """Return the columns of `_attribute_features`, with NaN for null."""
    columns = iter(_numbers(accepted, spec))
    for attribute in spec.attributes:
        if attribute.kind is AttributeKind.CATEGORY and not attribute.ordered:
            yield from _indicators(next(columns), len(attribute.values))
        else:
            yield from islice(columns, len(attribute.values) if attribute.kind is AttributeKind.LIST else 1)


def _numbers(accepted: pl.DataFrame, spec: Spec) -> list[Numbers]:
    expressions = _spec_expressions(spec)
    select = accepted.select_seq if has_few_rows(accepted) else accepted.select
    return [column.to_numpy() for column in select(expressions).iter_columns()] if expressions else []


@lru_cache(maxsize=64)
def _spec_expressions(spec: Spec) -> list[pl.Expr]:
    expressions = [e for attribute in spec.attributes for e in _expressions(attribute, spec)]
    return [e.cast(pl.Float64).alias(str(i)) for i, e in enumerate(expressions)]


def _expressions(attribute: Attribute, spec: Spec) -> list[pl.Expr]:
    """Return the columns of an attribute, but for categories without an order their rank, which tells them apart."""
    value = pl.col(attribute.name)
    if attribute.kind is AttributeKind.TEXT:
        return []
    if attribute.kind is AttributeKind.MONEY:
        return [value / 10**spec.currency.minor_digits]
    if attribute.kind is AttributeKind.LIST:
        return [value.list.count_matches(member) for member in attribute.values]
    if attribute.kind is AttributeKind.CATEGORY:
        return [value.cast(pl.Enum(attribute.values)).to_physical()]
    return [value]


def _indicators(ranks: Numbers, categories: int) -> Numbers:
    """Return a row for each category: 1 where it is that, 0 where it is another, NaN where it is none."""
    equal: Numbers = (ranks == np.arange(categories)[:, None]).astype(np.float64)
    equal[:, np.isnan(ranks)] = np.nan
    return equal


def _rfm(accepted: pl.DataFrame, account: Events, spec: Spec) -> list[Numbers]:
    return rfm_columns(accepted["customer"].to_numpy(), accepted["as_of"].to_numpy(), account.usable, spec)


def _to_float32(columns: list[Numbers], height: int) -> NDArray[np.float32]:
    """The one cast to float32, with one pattern for NaN and one zero, so that equal rows are equal bytes."""
    matrix = np.empty((height, len(columns)), dtype=np.float32)
    for i, column in enumerate(columns):
        matrix[:, i] = column
    matrix[np.isnan(matrix)] = np.float32(np.nan)
    matrix += np.float32(0)  # -0 + 0 = 0
    return matrix

"""Recency, frequency and monetary features, point in time and exact.

An event counts for an application iff `as_of - window <= occurred_at < as_of` and it was known by then
(`known_at <= as_of`, or no `known_at`). All aggregates are integers until one last division, so they do not depend on
the order of rows, on batching or on the engine.

The method: sort the events by customer and time, keep running sums, look the ends of each window up by binary search
and subtract. Running sums may wrap around; differences stay right (arithmetic modulo 2^64 and 2^128).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.event_arrays import Float64s, History, Int64s, own_histories
from features.rfm.windows import Clock, Timeline, Windows
from features.spec.contract import Feature, Monetary, RfmGroup, Spec

Kinds = NDArray[np.uint16]

_FEW_EVENTS = 4096  # up to here numpy's sort starts faster than that of Polars is
_MOST_COUNTED = np.iinfo(np.uint16).max

_UNITS = {Monetary.SHARE: "share of all money moved"}
_WORDS = {
    Monetary.SUM: "sum of",
    Monetary.MEAN: "mean of",
    Monetary.MIN: "smallest of",
    Monetary.MAX: "largest of",
    Monetary.STANDARD_DEVIATION: "standard deviation (population) of",
    Monetary.SHARE: "absolute amounts, as a share of those of all events, of",
}


def rfm_features(spec: Spec) -> list[Feature]:
    """List the RFM features of a spec, in the order of the columns of `rfm_columns`."""
    return [feature for group in spec.groups for feature in _group_features(group, spec)]


def _group_features(group: RfmGroup, spec: Spec) -> Iterator[Feature]:
    name, what = group.name, group.description or f"events {', '.join(group.kinds)}"
    money = group.unit or spec.currency.code

    def feature(suffix: str, unit: str, text: str) -> Feature:
        return Feature(name=f"{name}_{suffix}", unit=unit, description=text, source=name)

    if group.recency:
        days = group.windows_days[-1]
        yield feature(f"days_since_last_{days}d", "days", f"whole days since the last of {what}, within {days} days")
    for days in group.windows_days if group.frequency else ():
        yield feature(f"count_{days}d", "events", f"number of {what}, last {days} days")
    for days in group.windows_days:
        for measure in group.monetary:
            text = f"{_WORDS[measure]} {what}, last {days} days"
            yield feature(f"{measure}_{days}d", _UNITS.get(measure, money), text)
    if group.trend_days:
        short, long = group.trend_days
        text = f"amount a day of {what}, last {short} days against last {long} days"
        yield feature(f"trend_{short}d_{long}d", "ratio", text)


def rfm_columns(customers: Int64s, as_of: Int64s, events: History, spec: Spec) -> list[Float64s]:
    """Compute one Float64 column per feature of `rfm_features`; NaN is null.

    `customers` and `as_of` (microseconds) have one entry per application. Without an event in the window, counts and
    sums are 0 and all else is null.

    Raises:
        InputError: a customer has more events in one window than exact sums are guaranteed for (922,337).

    """
    customers, events = own_histories(customers, as_of, events)
    parts = list(_packable_parts(customers, events))
    columns: list[Float64s] = []
    days = tuple({days: None for group in spec.groups for days in group.windows_days})
    for index, part_customers, part in parts:
        clock = Clock.over(part)
        ends = clock.key(part_customers, as_of[index])
        order = np.argsort(ends, kind="stable")  # neighbouring look-ups are several times faster
        windows = Windows.ending(clock, part_customers[order], as_of[index][order], days)
        found = _columns(windows, part, spec)
        if len(parts) == 1 and bool((order[1:] > order[:-1]).all()):
            return list(found)
        columns = columns or [np.empty(len(customers)) for _ in rfm_features(spec)]
        for column, values in zip(columns, found, strict=True):
            column[index[order]] = values
    return columns or [np.empty(0) for _ in rfm_features(spec)]


def _packable_parts(customers: Int64s, events: History) -> Iterator[tuple[Int64s, Int64s, History]]:
    """Cut by customer, so that (customer, time) always fits one Int64; customers of a part count from 0."""
    if len(customers) == 0:
        return
    most = Clock.over(events).most_customers
    if customers.max() < most:
        yield np.arange(len(customers)), customers, events
        return
    for low in range(0, int(customers.max()) + 1, most):
        index = np.flatnonzero((customers >= low) & (customers < low + most))
        part = events.only((events.customers >= low) & (events.customers < low + most))
        yield index, customers[index] - low, replace(part, customers=part.customers - low)


def _columns(windows: Windows, events: History, spec: Spec) -> Iterator[Float64s]:
    everything, kinds = _timeline(windows.clock, events)
    for group, belongs in zip(spec.groups, _belonging(spec), strict=True):
        own = everything.only(np.flatnonzero(belongs[kinds]))
        yield from windows.columns(group, own, everything, 10**spec.currency.minor_digits)


@lru_cache(maxsize=64)
def _belonging(spec: Spec) -> list[NDArray[np.bool_]]:
    """Return for each group which of the spec's kinds belong to it."""
    return [np.array([kind in group.kinds for kind in spec.event_kinds]) for group in spec.groups]


def _timeline(clock: Clock, events: History) -> tuple[Timeline, Kinds]:
    timeline = Timeline(keys=clock.key(events.customers, events.occurred_at), amounts=events.amounts)
    kinds = events.kinds.astype(np.uint16)
    if bool(np.all(timeline.keys[1:] >= timeline.keys[:-1])):
        return timeline, kinds
    order = _by_customer(events.customers, timeline.keys)
    return timeline.only(order), kinds[order]


def _by_customer(customers: Int64s, keys: Int64s) -> Int64s:
    """Return the order of the keys, quickly where the events of each customer are in order of time, as in a ledger."""
    if len(keys) < _FEW_EVENTS:
        return np.argsort(keys)
    if customers.max() <= _MOST_COUNTED:
        order = np.argsort(customers.astype(np.uint16), kind="stable")  # which counts, and compares nothing
        ordered = keys[order]
        if bool(np.all(ordered[1:] >= ordered[:-1])):
            return order
    return pl.Series(keys).arg_sort().to_numpy()

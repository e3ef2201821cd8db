"""Aggregates over time windows by binary search in sorted events; the arithmetic under `features.rfm.quantities`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells import MOST_MINOR_UNITS
from features.errors import InputError
from features.event_arrays import Float64s, History, Int64s
from features.spec.contract import MICROSECONDS_PER_DAY, Monetary, RfmGroup

_ROOT_OF_INT64 = 3_037_000_499
MOST_EVENTS = (2**63 - 1) // MOST_MINOR_UNITS  # in one window: up to here its sum fits 64 bits, n * squares 128


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events in order of (customer, occurred_at), which one sortable key holds; amounts in minor units."""

    keys: Int64s
    amounts: Int64s

    def only(self, wanted: NDArray[np.bool_] | Int64s) -> "Timeline":
        """Select events by mask or by position."""
        return Timeline(self.keys[wanted], self.amounts[wanted])


@dataclass(frozen=True, slots=True)
class Clock:
    """Packs (customer, instant) into one Int64 that sorts like the pair; instants outside the events' span clip."""

    first: int
    span: int

    @classmethod
    def over(cls, events: History) -> "Clock":
        """Make the clock that covers the `occurred_at` of these events."""
        if len(events.occurred_at) == 0:
            return cls(0, 0)
        first, last = int(events.occurred_at.min()), int(events.occurred_at.max())
        return cls(first, last - first)

    @property
    def most_customers(self) -> int:
        """How many customers, counted from 0, fit the key."""
        return int((2**63 - 1) // (self.span + 2))

    def key(self, customers: Int64s, instants: Int64s) -> Int64s:
        """Pack pairs; all instants before the first event are alike, and all after the last."""
        since = np.minimum(np.maximum(instants - self.first, 0), self.span + 1)
        return customers * (self.span + 2) + since

    def instant(self, keys: Int64s, customers: Int64s) -> Int64s:
        """Unpack the instants of events of these customers."""
        return keys - customers * (self.span + 2) + self.first


@dataclass(frozen=True, slots=True)
class Bounds:
    """Positions [low, high) in a timeline: `low` for each window (rows, shortest first) of each application."""

    low: Int64s
    high: Int64s

    @property
    def count(self) -> Int64s:
        """Number of events in each window of each application."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that end at `as_of` (exclusive), for applications in order of (customer, as_of).

    `keys` are those of `as_of` and, behind it, of the first instants of the windows of `days`, a row for each.
    """

    clock: Clock
    customers: Int64s
    as_of: Int64s
    days: tuple[int, ...]
    keys: Int64s

    @classmethod
    def ending(cls, clock: Clock, customers: Int64s, as_of: Int64s, days: tuple[int, ...]) -> "Windows":
        """Make the windows of so many days; the first instant, `as_of - days`, belongs to a window."""
        instants = as_of - np.array([[0], *[[length] for length in days]]) * MICROSECONDS_PER_DAY
        return cls(clock, customers, as_of, days, clock.key(customers, instants))

    def bounds(self, timeline: Timeline, windows_days: tuple[int, ...]) -> Bounds:
        """Look the windows up by their days."""
        places = np.searchsorted(timeline.keys, self.keys[[0, *[1 + self.days.index(days) for days in windows_days]]])
        found = Bounds(places[1:], places[0])
        if len(timeline.keys) > MOST_EVENTS and found.count.max(initial=0) > MOST_EVENTS:
            raise InputError(
                f"events: a customer has more than {MOST_EVENTS:,} events within {windows_days[-1]} days, for which "
                "sums are not guaranteed to be exact. Check the customer_id of the events, or shorten the window in "
                "the spec."
            )
        return found

    def columns(self, group: RfmGroup, own: Timeline, everything: Timeline, scale: int) -> Iterator[Float64s]:
        """Yield the group's features in the order of `rfm_features`; `scale` is minor units per unit."""
        window = self.bounds(own, group.windows_days)
        money = _Money(own.amounts, window, _sums(own.amounts, window), scale)
        if group.recency:
            yield self._whole_days_since_last(own, window)
        if group.frequency:
            yield from window.count.astype(np.float64)
        measured = [
            _ratio(_sums(np.abs(own.amounts), window), self._moved(everything, group.windows_days))
            if measure is Monetary.SHARE
            else money.measure(measure)
            for measure in group.monetary
        ]
        for one_window in zip(*measured, strict=True):
            yield from one_window
        if group.trend_days:
            short, long = (money.sums[group.windows_days.index(days)] / days for days in group.trend_days)
            yield _ratio(short, long)

    def _moved(self, timeline: Timeline, windows_days: tuple[int, ...]) -> Int64s:
        """Return all money that moved in each window, in either direction."""
        return _sums(np.abs(timeline.amounts), self.bounds(timeline, windows_days))

    def _whole_days_since_last(self, own: Timeline, window: Bounds) -> Float64s:
        if len(own.keys) == 0:
            return np.full(len(self.as_of), np.nan)
        last = self.clock.instant(own.keys[np.maximum(window.high - 1, 0)], self.customers)
        return np.where(window.low[-1] < window.high, (self.as_of - last) // MICROSECONDS_PER_DAY, np.nan)


@dataclass(frozen=True, slots=True)
class _Money:
    """Amounts of a group's events, in minor units; what is measured of them has a row for each window."""

    amounts: Int64s
    window: Bounds
    sums: Int64s
    scale: int

    def measure(self, measure: Monetary) -> Float64s:
        if measure is Monetary.SUM:
            return self.sums / self.scale
        if measure is Monetary.MEAN:
            return _ratio(self.sums, self.window.count * self.scale)
        if measure is Monetary.STANDARD_DEVIATION:
            return _deviation(self.amounts, self.window, self.sums) / self.scale
        extremes = _nested(np.minimum if measure is Monetary.MIN else np.maximum, self.amounts, self.window)
        return np.where(self.window.count > 0, extremes / self.scale, np.nan)


def _sums(amounts: Int64s, window: Bounds) -> Int64s:
    """Sum each window exactly. The running sum may wrap, the difference of two of its values is right."""
    running = np.zeros(len(amounts) + 1, dtype=np.int64)
    np.cumsum(amounts, out=running[1:])
    result: Int64s = running[window.high] - running[window.low]
    return result


def _ratio(numerator: NDArray[np.generic], denominator: NDArray[np.generic]) -> Float64s:
    """Divide, null where there is nothing to divide by."""
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _deviation(amounts: Int64s, window: Bounds, sums: Int64s) -> Float64s:
    """Population standard deviation in minor units: sqrt(n * sum(x^2) - sum(x)^2) / n, all integers until the root."""
    most = int(window.count.max(initial=0)) * max(int(amounts.max(initial=0)), -int(amounts.min(initial=0)))
    exact = _spread(amounts, window, sums) if most < _ROOT_OF_INT64 else _wide_spread(amounts, window, sums)
    return _ratio(np.sqrt(exact), window.count)


def _spread(amounts: Int64s, window: Bounds, sums: Int64s) -> Int64s:
    return window.count * _sums(amounts * amounts, window) - sums * sums


def _wide_spread(amounts: Int64s, window: Bounds, sums: Int64s) -> Float64s:
    """Return the same in 128-bit integers, where 64 bits do not hold it."""
    wide = pl.Series(amounts).cast(pl.Int128)
    running = pl.concat([pl.Series([0], dtype=pl.Int128), (wide * wide).cum_sum()])
    high = np.broadcast_to(window.high, window.low.shape)
    squares = running.gather(high.ravel()) - running.gather(window.low.ravel())
    total, count = pl.Series(sums.ravel()).cast(pl.Int128), pl.Series(window.count.ravel()).cast(pl.Int128)
    return (count * squares - total * total).cast(pl.Float64).to_numpy().reshape(sums.shape)


def _nested(pick: np.ufunc, amounts: Int64s, window: Bounds) -> Int64s:
    """Smallest or largest amount per window. Windows end together, so each adds one stretch to the next shorter one.

    What stands for an empty window is meaningless. Cost: the events of the longest windows, each once.
    """
    cuts = np.column_stack([*window.low[::-1], window.high])
    padded = np.append(amounts, 0)  # a cut may stand behind the last event
    stretches = pick.reduceat(padded, cuts.ravel()).reshape(cuts.shape) if cuts.size else cuts
    neutral = np.iinfo(np.int64).max if pick is np.minimum else np.iinfo(np.int64).min
    stretches[:, :-1][cuts[:, :-1] == cuts[:, 1:]] = neutral
    nested: Int64s = pick.accumulate(stretches[:, -2::-1], axis=1)
    return nested.T

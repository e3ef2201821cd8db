"""Aggregates over time windows by binary search in sorted events; the arithmetic under `features.rfm`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InputError
from features.spec import MICROSECONDS_PER_DAY, Monetary, RfmGroup
from features.text_values import MOST_MINOR_UNITS

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]

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
    def over(cls, events: pl.DataFrame) -> "Clock":
        """Make the clock that covers the `occurred_at` of these events."""
        if events.is_empty():
            return cls(0, 0)
        occurred_at = events["occurred_at"].to_numpy()
        first, last = int(occurred_at.min()), int(occurred_at.max())
        return cls(first, last - first)

    @property
    def most_customers(self) -> int:
        """How many customers, counted from 0, fit the key."""
        return int((2**63 - 1) // (self.span + 2))

    def key(self, customers: Int64s, instants: Int64s) -> Int64s:
        """Pack pairs; all instants before the first event are alike, and all after the last."""
        return customers * (self.span + 2) + np.clip(instants - self.first, 0, self.span + 1)

    def instant(self, keys: Int64s, customers: Int64s) -> Int64s:
        """Unpack the instants of events of these customers."""
        return keys - customers * (self.span + 2) + self.first


@dataclass(frozen=True, slots=True)
class Bounds:
    """Positions [low, high) of each application's window in a timeline."""

    low: Int64s
    high: Int64s

    @property
    def count(self) -> Int64s:
        """Number of events in each window."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that end at `as_of` (exclusive), for applications in order of (customer, as_of)."""

    clock: Clock
    customers: Int64s
    as_of: Int64s

    def bounds(self, timeline: Timeline, windows_days: tuple[int, ...]) -> dict[int, Bounds]:
        """Look the windows up by their days; the first instant, `as_of - days`, belongs to a window."""
        high = np.searchsorted(timeline.keys, self.clock.key(self.customers, self.as_of))
        found = {}
        for days in windows_days:
            starts = self.clock.key(self.customers, self.as_of - days * MICROSECONDS_PER_DAY)
            found[days] = Bounds(np.searchsorted(timeline.keys, starts), high)
            if found[days].count.max(initial=0) > MOST_EVENTS:
                raise InputError(
                    f"events: a customer has more than {MOST_EVENTS:,} events within {days} days, for which sums are "
                    "not guaranteed to be exact. Check the customer_id of the events, or shorten the window in the "
                    "spec."
                )
        return found

    def columns(self, group: RfmGroup, own: Timeline, everything: Timeline, scale: int) -> Iterator[Float64s]:
        """Yield the group's features in the order of `features.rfm.rfm_features`; `scale` is minor units per unit."""
        bounds = self.bounds(own, group.windows_days)
        around = self.bounds(everything, group.windows_days) if Monetary.SHARE in group.monetary else {}
        if group.recency:
            yield self._whole_days_since_last(own, bounds[group.windows_days[-1]])
        for days in group.windows_days if group.frequency else ():
            yield bounds[days].count.astype(np.float64)
        sums = {days: _sums(own.amounts, bounds[days]) for days in group.windows_days}
        extremes = {
            Monetary.MIN: _nested(np.minimum, own.amounts, bounds) if Monetary.MIN in group.monetary else {},
            Monetary.MAX: _nested(np.maximum, own.amounts, bounds) if Monetary.MAX in group.monetary else {},
        }
        for days in group.windows_days:
            window = bounds[days]
            for measure in group.monetary:
                if measure is Monetary.SUM:
                    yield sums[days] / scale
                elif measure is Monetary.MEAN:
                    yield _ratio(sums[days], window.count * scale)
                elif measure is Monetary.STANDARD_DEVIATION:
                    yield _deviation(own.amounts, window, sums[days]) / scale
                elif measure is Monetary.SHARE:
                    total = _sums(np.abs(everything.amounts), around[days])
                    yield _ratio(_sums(np.abs(own.amounts), window), total)
                else:
                    yield np.where(window.count > 0, extremes[measure][days] / scale, np.nan)
        if group.trend_days:
            short, long = group.trend_days
            yield _ratio(sums[short] / short, sums[long] / long)

    def _whole_days_since_last(self, own: Timeline, window: Bounds) -> Float64s:
        if len(own.keys) == 0:
            return np.full(len(self.as_of), np.nan)
        last = self.clock.instant(own.keys[np.maximum(window.high - 1, 0)], self.customers)
        return np.where(window.count > 0, (self.as_of - last) // MICROSECONDS_PER_DAY, np.nan)


def _sums(amounts: Int64s, window: Bounds) -> Int64s:
    """Sum each window exactly. The running sum may wrap, the difference of two of its values is right."""
    running = np.zeros(len(amounts) + 1, dtype=np.int64)
    np.cumsum(amounts, out=running[1:])
    return running[window.high] - running[window.low]


def _ratio(numerator: NDArray[np.generic], denominator: NDArray[np.generic]) -> Float64s:
    """Divide, null where there is nothing to divide by."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _deviation(amounts: Int64s, window: Bounds, sums: Int64s) -> Float64s:
    """Population standard deviation in minor units: sqrt(n * sum(x^2) - sum(x)^2) / n, in 128-bit integers."""
    wide = pl.Series(amounts).cast(pl.Int128)
    running = pl.concat([pl.Series([0], dtype=pl.Int128), (wide * wide).cum_sum()])
    squares = running.gather(window.high) - running.gather(window.low)
    total, count = pl.Series(sums).cast(pl.Int128), pl.Series(window.count).cast(pl.Int128)
    spread = (count * squares - total * total).cast(pl.Float64).to_numpy()
    return _ratio(np.sqrt(spread), window.count)


def _nested(pick: np.ufunc, amounts: Int64s, bounds: dict[int, Bounds]) -> dict[int, Int64s]:
    """Smallest or largest amount per window. Windows end together, so each adds one stretch to the next shorter one.

    What stands for an empty window is meaningless. Cost: the events of the longest windows, each once.
    """
    days = sorted(bounds)
    cuts = np.column_stack([bounds[d].low for d in reversed(days)] + [bounds[days[0]].high])
    padded = np.append(amounts, 0)  # a cut may stand behind the last event
    stretches = pick.reduceat(padded, cuts.ravel()).reshape(cuts.shape) if cuts.size else cuts
    neutral = np.iinfo(np.int64).max if pick is np.minimum else np.iinfo(np.int64).min
    stretches[:, :-1][cuts[:, :-1] == cuts[:, 1:]] = neutral
    accumulated = pick.accumulate(stretches[:, -2::-1], axis=1)
    return {d: accumulated[:, i] for i, d in enumerate(days)}

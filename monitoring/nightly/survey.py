"""The first pass over decisions: what is there, how to cut time, and which decisions are repeats."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InputError

SURVEYED = ("decision_id", "as_of", "door")
_SAMPLE_ROWS = 20_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("1d", 14, "%Y-%m-%d"), ("1w", 92, "week of %Y-%m-%d"), ("1mo", 100_000, "%Y-%m"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a first pass found: how to cut time, which customers to sample, which rows of each block count.

    A decision that a door repeats, as by a re-run, counts once.
    """

    first: datetime
    last: datetime
    rows: int
    repeated: int
    doors: tuple[str, ...]
    unit: str
    label: str
    fresh: list[NDArray[np.bool_]]

    @property
    def sample_every(self) -> int:
        """One customer in so many is kept as a sample."""
        return max(1, self.rows // _SAMPLE_ROWS)

    def name(self, period: int) -> str:
        """Name a period, as numbered by its first instant in microseconds."""
        return (_EPOCH + timedelta(microseconds=period)).strftime(self.label)

    def end(self, period: int) -> datetime:
        """Return the first instant after a period."""
        start = pl.Series([period]).cast(pl.Datetime("us", "UTC"))
        return start.dt.offset_by(self.unit)[0]  # type: ignore[no-any-return]


@dataclass(slots=True)
class Survey:
    """The first pass; blocks have the columns `SURVEYED` and come in the order of the second pass."""

    _as_of: list[tuple[datetime, datetime]] = field(default_factory=list)
    _hashes: list[pl.Series] = field(default_factory=list)
    _doors: set[str] = field(default_factory=set)

    def add(self, frame: pl.DataFrame) -> None:
        """Take a block."""
        self._hashes.append(frame.select(pl.struct("decision_id", "door").hash(seed=0)).to_series())
        self._doors.update(frame["door"].unique().to_list())
        if frame.height:
            self._as_of.append((frame["as_of"].min(), frame["as_of"].max()))  # type: ignore[arg-type]

    def plan(self) -> Plan:
        """Say how to count.

        Raises:
            InputError: there is no decision.

        """
        if not self._as_of:
            raise InputError(
                "no decision in this window. Expected some with --since <= as_of < --until; leave the options out to "
                "see what is there."
            )
        first, last = min(low for low, _ in self._as_of), max(high for _, high in self._as_of)
        unit, label = next((u, text) for u, days, text in _UNITS if last - first < timedelta(days=days))
        fresh = pl.concat(self._hashes).is_first_distinct().to_numpy()
        ends = np.cumsum([len(hashes) for hashes in self._hashes])[:-1]
        return Plan(
            first=first,
            last=last,
            rows=int(fresh.sum()),
            repeated=int((~fresh).sum()),
            doors=tuple(sorted(self._doors)),
            unit=unit,
            label=label,
            fresh=np.split(fresh, ends),
        )

"""What moved against the reference, by how much, and whether that is more than chance.

An alarm needs three things: it lies outside the noise band of its window's size, it is large enough to matter, and no
month of training was like it. Noise bands are Bonferroni-corrected over everything that is looked at, so that at most
2 % of the reports of windows in which nothing drifted raise one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from features.cells import MISSING, UNKNOWN
from monitoring.divergence import Size, psi_band
from monitoring.nightly.finding import WHOLE, Finding, Kind, compared, most_moved, rate
from monitoring.nightly.window import Tally, Window
from scoring.bundle import Item

FALSE_ALARMS = 0.02


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the window that is looked at by itself."""

    name: str
    tally: Tally


def parts_of(window: Window, names: dict[int, str]) -> list[Part]:
    """Return the whole window, then each door and each period where there are several. `names` are the periods'."""
    whole = window.total()
    if whole is None:
        return []
    found = [Part(WHOLE, whole)]
    for door in window.doors if len(window.doors) > 1 else ():
        found += _part(window, f"door {door}", door=door)
    for period in window.periods if len(window.periods) > 1 else ():
        found += _part(window, names[period], period=period)
    return found


def _part(window: Window, name: str, door: str | None = None, period: int | None = None) -> list[Part]:
    tally = window.total(lambda cell: period in (None, cell[0]) and door in (None, cell[1]))
    return [] if tally is None else [Part(name, tally)]


class Drift:
    """Compares parts of a window with the reference."""

    def __init__(self, window: Window, parts: list[Part]) -> None:
        """Share the false alarms that are allowed among all that is looked at."""
        self._window, self._parts, self._reference = window, parts, window.reference
        self._effects = window.effects()
        tests = len(parts) * (2 * len(self._reference.items) + 2) + max(1, len(window.dirt))
        self.alpha = FALSE_ALARMS / tests
        self._most = max([item.importance for item in self._reference.items], default=0.0) or 1.0

    def findings(self) -> list[Finding]:
        """Return everything that was looked at, part by part."""
        found = [f for part in self._parts for f in self._of_part(part)]
        return [*found, *self._dirt()]

    def _of_part(self, part: Part) -> Iterator[Finding]:
        for i, item in enumerate(self._reference.items):
            months = self._reference.by_month(i)
            yield _unless_like((self._values(part, i, month) for month in months), self._values(part, i, item))
            yield _unless_like((self._missing(part, i, month) for month in months), self._missing(part, i, item))
        yield from self._outputs(part)

    def _values(self, part: Part, i: int, item: Item) -> Finding:
        before, now = np.array(item.counts), part.tally.items[i][:-1]
        sizes = Size(int(before.sum()), item.design_effect), Size(int(now.sum()), self._effects.values[i])
        found = compared(Kind.VALUES, item.name, part.name, (before, now), psi_band(len(before), self.alpha, *sizes))
        return replace(found, detail=most_moved(item.labels(), before, now), weight=item.importance / self._most)

    def _missing(self, part: Part, i: int, item: Item) -> Finding:
        sizes = Size(item.rows, item.missing_design_effect), Size(part.tally.rows, self._effects.missing[i])
        cells = item.missing, int(part.tally.items[i][-1])
        found = rate(Kind.MISSING, cells, sizes, self.alpha)
        return replace(found, name=item.name, where=part.name, weight=item.importance / self._most)

    def _outputs(self, part: Part) -> Iterator[Finding]:
        """Compare class mix and score with those of held-out customers at training."""
        known, months = self._reference.outputs, self._reference.months
        before = [known.class_counts, *[month.classes for month in months if month.classes]]
        yield self._output((Kind.CLASSES, "class mix"), part, before, known.class_design_effect)
        before = [known.score_counts, *[month.scores for month in months if month.scores]]
        yield self._output((Kind.SCORE, "credit score"), part, before, known.score_design_effect)

    def _output(self, what: tuple[Kind, str], part: Part, before: list[tuple[int, ...]], effect: float) -> Finding:
        """Compare with all of training, the first of `before`, and with its months."""
        now = part.tally.classes if what[0] is Kind.CLASSES else part.tally.scores
        window = Size(int(now.sum()), self._effects.outputs)
        found = (
            compared(
                *what,
                part.name,
                (np.array(counts), now),
                psi_band(len(now), self.alpha, Size(sum(counts), effect), window),
            )
            for counts in before
        )
        first = next(found)
        return replace(_unless_like(found, first), weight=1.0)

    def _dirt(self) -> Iterator[Finding]:
        """Look at cells that became missing by cause. Cells that were empty belong to the missing rate alone."""
        before = {(d.column, d.cause): d.cells for d in self._reference.dirt if d.table == "applications"}
        for column, cause in sorted({*before, *self._window.dirt}):
            if cause == MISSING or not self._window.dirt_rows:
                continue
            own = [i for i in self._reference.items if column in (i.name, i.name.partition("=")[0])]
            effect = max([item.missing_design_effect for item in own], default=1.0)
            sizes = Size(self._reference.rows, effect), Size(self._window.dirt_rows, effect)
            cells = before.get((column, cause), 0), self._window.dirt.get((column, cause), 0)
            weight = min(1.0, sum(item.importance for item in own) / self._most)
            kind = Kind.UNSEEN if cause == UNKNOWN else Kind.DIRT
            found = rate(kind, cells, sizes, self.alpha)
            yield replace(found, name=column, detail=cause, where=WHOLE, weight=weight)


def _unless_like(months: Iterable[Finding], found: Finding) -> Finding:
    """Take the alarm back where a month of training was like it: a season, or data that had just begun."""
    return replace(found, alarm=found.alarm and all(month.alarm for month in months))  # without one: none is compared

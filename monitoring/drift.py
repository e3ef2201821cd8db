"""What moved against the reference, by how much, and whether that is more than chance.

An alarm needs both: it lies outside the noise band of its window's size, and it is large enough to matter. Noise bands
are Bonferroni-corrected over everything that is looked at, so that at most 2 % of the reports of windows in which
nothing drifted raise one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from features.reading import MISSING, UNKNOWN
from monitoring.divergence import Size, jensen_shannon, jensen_shannon_band, psi, psi_band, rate_band
from monitoring.window import Effects, Tally, Window
from scoring.bins import Item
from scoring.reference import Reference

FALSE_ALARMS = 0.02
MODERATE, LARGE = 0.1, 0.25  # of PSI, as credit scoring uses it
LEAST_RATE_CHANGE = 0.01
WHOLE = "whole window"

Counts = NDArray[np.int64]


class Kind(StrEnum):
    """What can drift."""

    VALUES = "values"
    MISSING = "missing rate"
    DIRT = "dirt"
    UNSEEN = "unseen category"
    SCORE = "score"
    CLASSES = "class mix"
    CONCEPT = "label mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing in one part of the window. `band` is the noise band of `psi`; a rate has shares and their band too.

    `weight` is the importance against the most important feature's (1 for what concerns all features).
    """

    kind: Kind
    name: str
    detail: str
    where: str
    rows: int
    psi: float
    distance: float
    band: float
    weight: float
    alarm: bool
    share: float | None = None
    reference_share: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def moved(self) -> bool:
        """Whether it lies outside its noise band."""
        if self.share is None or self.low is None or self.high is None:
            return self.psi > self.band
        return not self.low <= self.share <= self.high

    @property
    def strength(self) -> float:
        """Drift weighted with importance."""
        return self.psi * self.weight

    @property
    def distance_band(self) -> float:
        """The noise band of the Jensen-Shannon distance."""
        return jensen_shannon_band(self.band)


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
            yield self._values(part, i, item)
            yield self._missing(part, i, item)
        yield from outputs(part, self._reference, self._effects, self.alpha)

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


def outputs(part: Part, reference: Reference, effects: Effects, alpha: float) -> Iterator[Finding]:
    """Compare class mix and score with those of held-out customers at training."""
    known = reference.outputs
    classes, scores = np.array(known.class_counts), np.array(known.score_counts)
    rows = int(classes.sum())
    sizes = Size(rows, known.class_design_effect), Size(part.tally.rows, effects.outputs)
    band = psi_band(len(classes), alpha, *sizes)
    yield replace(compared(Kind.CLASSES, "class mix", part.name, (classes, part.tally.classes), band), weight=1.0)
    sizes = Size(rows, known.score_design_effect), Size(part.tally.rows, effects.outputs)
    band = psi_band(len(scores), alpha, *sizes)
    yield replace(compared(Kind.SCORE, "credit score", part.name, (scores, part.tally.scores), band), weight=1.0)


def rate(kind: Kind, cells: tuple[int, int], sizes: tuple[Size, Size], alpha: float) -> Finding:
    """Compare how many of the rows are concerned, in the reference and in the window."""
    (before, now), (reference, window) = cells, sizes
    counts = np.array([before, reference.rows - before]), np.array([now, window.rows - now])
    shares = before / max(reference.rows, 1), now / max(window.rows, 1)
    low, high = rate_band(shares[0], alpha, reference, window)
    found = compared(kind, "", "", counts, psi_band(2, alpha, reference, window))
    found = replace(found, share=shares[1], reference_share=shares[0], low=low, high=high)
    return replace(found, alarm=found.moved and abs(shares[1] - shares[0]) >= LEAST_RATE_CHANGE)


def compared(kind: Kind, name: str, where: str, counts: tuple[Counts, Counts], band: float) -> Finding:
    """Compare counts by bin of the reference and of a part of the window."""
    found = psi(*counts)
    return Finding(
        kind=kind,
        name=name,
        detail="",
        where=where,
        rows=int(counts[1].sum()),
        psi=found,
        distance=jensen_shannon(*counts),
        band=band,
        weight=0.0,
        alarm=found > max(band, MODERATE),
    )


def most_moved(labels: tuple[str, ...], before: Counts, now: Counts) -> str:
    """Name the bin whose share adds most to the PSI."""
    if before.sum() == 0 or now.sum() == 0:
        return ""
    p, q = (before + 0.5) / (before + 0.5).sum(), (now + 0.5) / (now + 0.5).sum()
    return labels[int(((q - p) * np.log(q / p)).argmax())]


def ranked(findings: list[Finding]) -> list[Finding]:
    """Return one finding per thing, the one that says most about it, and the likeliest cause of trouble first.

    Alarms come first, then what lies outside its noise band, each by drift weighted with importance. What concerns all
    features weighs 1. So the class mix stands before the features only where it moved more than each of them: a
    divergence cannot grow on the way from features to the class that is made of them (data processing inequality), so
    then the features moved with the mix and not the mix with a feature.
    """
    best: dict[tuple[Kind, str, str], Finding] = {}
    for finding in findings:
        cause = finding.detail if finding.kind in (Kind.DIRT, Kind.UNSEEN) else ""
        key = finding.kind, finding.name, cause
        if key not in best or _urgency(finding) > _urgency(best[key]):
            best[key] = finding
    return sorted(best.values(), key=lambda f: (*[-x for x in _urgency(f)], f.kind == Kind.SCORE, f.name))


def _urgency(finding: Finding) -> tuple[int, int, float]:
    return int(finding.alarm), int(finding.moved), finding.strength

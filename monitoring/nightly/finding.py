"""One thing that was compared with training: how far it moved, how far chance goes, and whether that is an alarm."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitoring.divergence import Size, homogeneity, jensen_shannon, jensen_shannon_band, psi, psi_band, rate_band

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
    """Compare counts by bin of the reference and of a part of the window.

    Where counts are small a nearly empty bin makes PSI large by chance; a chi-square of the same counts, which equals
    it where they are large, must lie outside the band too. So the band is widened by what PSI exceeds it.
    """
    found, sober = psi(*counts), homogeneity(*counts)
    band *= max(1.0, found / sober) if sober > 0 else 1.0
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

    Shares that are shown as the same at training and now are not ranked.

    What raises an alarm in the whole window is ranked by it: small parts stray further, and dirt has no parts.

    Alarms come first, then what lies outside its noise band, each by drift weighted with importance. What concerns all
    features weighs 1. So the class mix stands before the features only where it moved more than each of them: a
    divergence cannot grow on the way from features to the class that is made of them (data processing inequality), so
    then the features moved with the mix and not the mix with a feature.
    """
    best: dict[tuple[Kind, str, str], Finding] = {}
    for finding in filter(_differs, findings):
        cause = finding.detail if finding.kind in (Kind.DIRT, Kind.UNSEEN) else ""
        key = finding.kind, finding.name, cause
        if key not in best or _telling(finding) > _telling(best[key]):
            best[key] = finding
    return sorted(best.values(), key=lambda f: (*[-x for x in _urgency(f)], f.kind == Kind.SCORE, f.name))


def _differs(finding: Finding) -> bool:
    """Tell whether a share is shown as another one than at training: 0.0 % to 0.0 % is no news, whatever its PSI."""
    if finding.share is None or finding.reference_share is None or finding.alarm:
        return True
    return f"{finding.share:.1%}" != f"{finding.reference_share:.1%}"


def _urgency(finding: Finding) -> tuple[int, int, float]:
    return int(finding.alarm), int(finding.moved), finding.strength


def _telling(finding: Finding) -> tuple[bool, int, int, float]:
    return finding.alarm and finding.where == WHOLE, *_urgency(finding)

"""How far two distributions lie apart, and how far chance alone would take them. numpy only: doors use it as well."""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
_HALF = 0.5  # added to each count, so that an empty bin is no infinity (Jeffreys' prior)


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows a distribution was counted from, and how many of them amount to an independent one."""

    rows: int
    design_effect: float = 1.0

    @property
    def independent(self) -> float:
        """Rows that count."""
        return self.rows / self.design_effect


def psi(reference: Counts, window: Counts) -> float:
    """Return the population stability index of counts in the same bins: 0 if equal, symmetric, no upper bound.

    Source: Siddiqi, Intelligent Credit Scoring (2nd ed., 2017), chapter 13; it is Jeffreys' divergence (1946). 0.1 is
    usually taken for a moderate and 0.25 for a large shift.
    """
    if reference.sum() == 0 or window.sum() == 0:
        return 0.0
    p, q = _shares(reference), _shares(window)
    return float(((q - p) * np.log(q / p)).sum())


def homogeneity(reference: Counts, window: Counts) -> float:
    """Return the chi-square of both counts against their pooled shares, without their sizes: PSI to second order.

    Source: Pearson (1900); its tail follows the chi-square distribution down to small counts, which PSI's does not.
    """
    n, m = int(reference.sum()), int(window.sum())
    if n == 0 or m == 0:
        return 0.0
    pooled = (reference + window) / (n + m)
    seen = pooled > 0
    apart = (reference / n - window / m)[seen]
    return float((apart**2 / pooled[seen]).sum())


def jensen_shannon(reference: Counts, window: Counts) -> float:
    """Return the Jensen-Shannon distance (square root of the divergence in bits): 0 if equal, 1 if disjoint.

    Source: Lin, Divergence Measures Based on the Shannon Entropy (1991); Endres and Schindelin (2003) for the root.
    """
    if reference.sum() == 0 or window.sum() == 0:
        return 0.0
    p, q = reference / reference.sum(), window / window.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return math.sqrt(max(0.0, divergence))


def _shares(counts: Counts) -> NDArray[np.float64]:
    smoothed = counts + _HALF
    return np.asarray(smoothed / smoothed.sum())


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / q[seen])).sum())


def psi_band(bins: int, alpha: float, reference: Size, window: Size) -> float:
    """Return the PSI that chance exceeds with probability `alpha` where nothing drifted.

    PSI then is about (1/n + 1/m) times a chi-square variable with bins - 1 degrees of freedom, n and m being the
    numbers of independent rows. Source: Yurdakul and Naranjo, Statistical properties of the population stability index,
    Journal of Risk Model Validation 14 (2020); design effects as in `scoring.bundle.bins.design_effect`.
    """
    if bins < 2 or reference.independent <= 0 or window.independent <= 0:
        return math.inf
    scale = 1 / reference.independent + 1 / window.independent
    return scale * chi_square_quantile(bins - 1, alpha)


def jensen_shannon_band(psi_limit: float) -> float:
    """Return the Jensen-Shannon distance of a small PSI, whose eighth is the divergence in nats; 1 at most."""
    return min(1.0, math.sqrt(psi_limit / 8 / math.log(2))) if math.isfinite(psi_limit) else math.inf


@lru_cache(maxsize=256)
def chi_square_quantile(degrees: int, alpha: float) -> float:
    """Return what a chi-square variable exceeds with probability `alpha`, by bisection of its tail.

    The tail follows exactly from that of one or two degrees, two degrees at a time (Abramowitz and Stegun, 26.4.8).
    """
    low, high = 0.0, 10.0 * (degrees - math.log(alpha))
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(degrees, middle) > alpha else (low, middle)
    return high


def _tail(degrees: int, value: float) -> float:
    half = value / 2
    tail = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    for shape in (step / 2 for step in range(1 + (degrees + 1) % 2, degrees, 2)):
        tail += math.exp(shape * math.log(half) - half - math.lgamma(shape + 1)) if half > 0 else 0.0
    return tail


def normal_quantile(alpha: float) -> float:
    """Return what a standard normal variable exceeds with probability `alpha`."""
    return NormalDist().inv_cdf(1 - alpha)


def rate_band(share: float, alpha: float, reference: Size, window: Size) -> tuple[float, float]:
    """Return the shares between which chance leaves the window's with probability 1 - `alpha`.

    Of a share with the same truth behind it in `reference`, where it is `share`. The arcsine of its root has a variance
    of 1 / 4n whatever it is. Source: Anscombe, The transformation of Poisson, binomial and negative-binomial data,
    Biometrika 35 (1948), with his correction for small counts.
    """
    n, m = reference.independent, window.independent
    if n <= 0 or m <= 0:
        return 0.0, 1.0
    centre = math.asin(math.sqrt((share * n + 0.375) / (n + 0.75)))
    reach = normal_quantile(alpha / 2) / 2 * math.sqrt(1 / n + 1 / m)

    def back(angle: float) -> float:
        inside = math.sin(min(max(angle, 0.0), math.pi / 2)) ** 2
        return min(1.0, max(0.0, (inside * (m + 0.75) - 0.375) / m))

    return back(centre - reach), back(centre + reach)

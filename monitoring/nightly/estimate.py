"""How good decisions are before their outcomes are known, with the uncertainty that this has."""

import math
from dataclasses import dataclass

from metrics import Floats, Linear, Place, Sums, listed, monitored, named, sampling_variance, variance
from monitoring.divergence import normal_quantile
from monitoring.nightly.drift import Part
from scoring.bundle import Claim, Reference

FALSE_ALARMS = 0.01
LEAST_ROWS = 50  # that a metric must be a share or mean of, to raise an alarm
_Z = normal_quantile(0.025)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A metric of a part of the window as the probabilities state it.

    `low` and `high` hold what will come true in 95 of 100 cases, as long as the probabilities are still calibrated.
    `change` is the difference from what was stated at training; `alarm`: it is worse by more than chance and enough to
    matter (`limit`).
    """

    metric: str
    where: str
    value: float | None
    low: float | None
    high: float | None
    trained: float | None
    change: float | None
    limit: float
    alarm: bool


def tests() -> int:
    """Count the metrics that may raise an alarm; each gets its part of the false alarms that are allowed."""
    return sum(metric.matters is not None for metric in listed(Place.MONITOR))


def estimates(parts: list[Part], reference: Reference, costs: Floats) -> list[Estimate]:
    """Estimate every metric of every part."""
    alpha = FALSE_ALARMS / max(1, len(parts) * tests())
    return [
        _estimate(part, (name, linear), reference.outputs.claims[name], alpha)
        for part in parts
        for name, linear in monitored(part.tally.sums.confusion, costs).items()
        if name in reference.outputs.claims  # a bundle of an earlier release claims nothing of a newer metric
    ]


def _estimate(part: Part, found: tuple[str, Linear], claim: Claim, alpha: float) -> Estimate:
    name, linear = found
    if linear.value is None:
        return Estimate(
            metric=name,
            where=part.name,
            value=None,
            low=None,
            high=None,
            trained=claim.stated,
            change=None,
            limit=math.inf,
            alarm=False,
        )
    low, high = interval(name, linear, part.tally.sums, claim)
    change = None if claim.stated is None else linear.value - claim.stated
    limit = change_limit(name, linear, part.tally.sums, claim, alpha)
    worse = 0.0 if change is None else named(name).loss(linear.value, claim.stated or 0.0)
    return Estimate(
        metric=name,
        where=part.name,
        value=linear.value,
        low=low,
        high=high,
        trained=claim.stated,
        change=change,
        limit=limit,
        alarm=linear.whole >= LEAST_ROWS and worse > limit,
    )


def interval(name: str, linear: Linear, sums: Sums, claim: Claim) -> tuple[float, float]:
    """Return the 95 % interval of what comes true: the luck of outcomes, and what is not known about calibration.

    It reaches further on the side to which held-out customers of training showed the probabilities to be off.
    """
    value, gap = linear.value or 0.0, (claim.realised or 0.0) - (claim.stated or 0.0)
    error = math.sqrt(variance(linear, sums) * claim.design_effect + claim.error**2)
    return max(0.0, value + min(gap, 0.0) - _Z * error), min(named(name).ceiling, value + max(gap, 0.0) + _Z * error)


def reach(z: float, window_error: float, training_error: float) -> float:
    """Return how far chance carries a window from training, as a sum: training's luck is the same in every report.

    The root of the sum of squares would hold over all bundles that might have been trained, but fail in half of the
    reports of an unlucky one.
    """
    return z * (window_error + training_error)


def change_limit(name: str, linear: Linear, sums: Sums, claim: Claim, alpha: float) -> float:
    """Return how much worse than at training a stated metric must be to raise an alarm."""
    sampled = sampling_variance(linear, sums) * claim.stated_design_effect
    noise = reach(normal_quantile(alpha), math.sqrt(sampled), claim.stated_error)
    return max(noise, named(name).enough(claim.stated or 0.0))

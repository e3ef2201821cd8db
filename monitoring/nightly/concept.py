"""Whether the same inputs still lead to the same outcomes, and what a fall of performance comes from."""

import math
from dataclasses import dataclass

import numpy as np

from metrics import Floats, clustered_error, excess_log_losses, residuals, stated_parts
from monitoring.divergence import normal_quantile, psi
from monitoring.nightly.estimate import LEAST_ROWS, reach
from monitoring.nightly.finding import Finding, Kind
from monitoring.nightly.truth import FALSE_ALARMS, Evidence, Labelled
from scoring.bundle import Reference

LEAST_EXCESS, LEAST_GAP = 0.02, 0.02  # nats, and points of a class's share, that matter


def label_mapping(where: str, rows: Labelled, reference: Reference, parts: int) -> Finding:
    """Look whether the same inputs still lead to the same outcomes: concept drift, whatever the inputs did.

    Two signs: the log loss exceeds what the calibrated probabilities expect of themselves by more than at training, or
    a class comes true more or less often than stated. As a divergence, to be ranked beside the others: the larger of
    the population stability index of actual against stated classes and twice the excess log loss (a relative entropy).
    """
    known, tests = reference.outputs, parts * (rows.probabilities.shape[1] + 1)
    z = normal_quantile(FALSE_ALARMS / tests / 2)
    excess = excess_log_losses(rows.probabilities, rows.actual)
    above = float(excess.mean()) - known.excess_log_loss
    noise = reach(z, clustered_error(excess / len(rows), rows.customers), known.excess_error)
    off, gap_noise = _widest_gap(rows, reference, z)
    stated, actual = _by_class(rows)
    found = max(2 * abs(above), psi(np.rint(stated).astype(np.int64), actual.astype(np.int64)))
    surprising = abs(above) > max(noise, LEAST_EXCESS) or off > max(gap_noise, LEAST_GAP)
    return Finding(
        kind=Kind.CONCEPT,
        name="label mapping",
        detail=f"log loss {above:+.3f} nats over its expectation; {off:.1%} between stated and actual share of a class",
        where=where,
        rows=len(rows),
        psi=found,
        distance=math.sqrt(found / 8 / math.log(2)),
        band=max(2 * noise, 0.0),
        weight=1.0,
        alarm=surprising and len(rows) >= LEAST_ROWS,
    )


def _widest_gap(rows: Labelled, reference: Reference, z: float) -> tuple[float, float]:
    """Return by how much a class comes true more or less often than stated, beyond training, and chance's reach."""
    gaps = []
    for i, (before, error) in enumerate(zip(reference.outputs.gaps, reference.outputs.gap_errors, strict=True)):
        parts = ((rows.actual == i) - rows.probabilities[:, i].astype(np.float64)) / len(rows)
        noise = reach(z, clustered_error(parts, rows.customers), error)
        gaps.append((abs(float(parts.sum()) - before), noise))
    return max(gaps, key=lambda gap: gap[0] - gap[1])


def _by_class(rows: Labelled) -> tuple[Floats, Floats]:
    count = rows.probabilities.shape[1]
    return rows.probabilities.astype(np.float64).sum(axis=0), np.bincount(rows.actual, minlength=count).astype(float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Why a metric changed since training: by the inputs (stated so), and by the concept (not stated).

    Errors are standard errors. `named` is the part that is larger, if it is more than chance: inputs, concept or none.
    """

    metric: str
    where: str
    change: float
    inputs: float
    inputs_error: float
    concept: float
    concept_error: float

    @property
    def named(self) -> str:
        """The part that explains more of the change; none where both may be chance."""
        parts = {"inputs": (self.inputs, self.inputs_error), "concept": (self.concept, self.concept_error)}
        real = {name: abs(value) for name, (value, error) in parts.items() if abs(value) > 3 * error}
        return max(real, key=lambda name: real[name]) if real else "none"


def falls(where: str, evidence: Evidence) -> list[Fall]:
    """Part the change of cost and accuracy since training: realised now - realised then = inputs + concept.

    Inputs: stated now - stated then. Concept: (realised - stated) now - (realised - stated) then.
    """
    rows, found = evidence.rows, []
    for name in ("expected_cost", "accuracy"):
        claim, stated = evidence.claims[name], evidence.stated[name]
        now, then = evidence.value(name), claim.realised
        if now is None or then is None or stated.value is None or claim.stated is None:
            continue
        change, inputs = now - then, stated.value - claim.stated
        p = evidence.probabilities
        error = clustered_error(residuals(stated, p, rows.assigned, rows.actual), rows.customers)
        sampled = clustered_error(stated_parts(stated, p, rows.assigned), rows.customers)
        found.append(
            Fall(
                metric=name,
                where=where,
                change=change,
                inputs=inputs,
                inputs_error=math.hypot(sampled, claim.stated_error),
                concept=change - inputs,
                concept_error=math.hypot(error, claim.error),
            )
        )
    return found

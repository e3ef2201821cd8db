"""All figures of one run of `credit monitor`, as plain data: what stands on the page and in the JSON beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.rfm import Matches
from metrics import Figure
from monitoring.nightly.agreement import Agreement
from monitoring.nightly.alarms import (
    Alarm,
    Light,
    Topic,
    cohort_alarms,
    door_alarms,
    drift_alarms,
    estimate_alarms,
    light,
)
from monitoring.nightly.concept import Fall, falls, label_mapping
from monitoring.nightly.cutoffs import CutOffs, cut_offs
from monitoring.nightly.drift import Drift, Part, parts_of
from monitoring.nightly.estimate import Estimate, estimates
from monitoring.nightly.finding import WHOLE, Finding, ranked
from monitoring.nightly.statement import Statement, statement
from monitoring.nightly.truth import Cohort, Evidence, Labelled, Yardstick, calibration, cohort, refused_unknown
from monitoring.nightly.window import Window
from scoring.bundle import Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was read. `periods` names the numbers of periods; `matured` are those whose outcomes may be judged.

    `newest` is when each door of a log decided last, by its own clock. `matches` are those of the files; a log, which
    holds no events, has none.
    """

    bundle: Bundle
    window: Window
    first: datetime
    last: datetime
    periods: Mapping[int, str]
    agreement: Agreement
    decision_ids: tuple[str, ...] = ()
    labelled: Labelled | None = None
    matured: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    newest: Mapping[str, datetime] = field(default_factory=dict)
    matches: Matches | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What outcomes say. `coverage`: decisions and outcomes by period and assigned class."""

    coverage: dict[str, dict[str, list[int]]]
    cohorts: list[Cohort]
    concept: list[Finding]
    falls: list[Fall]
    calibration: list[dict[str, Figure]]
    cut_offs: CutOffs | None
    refused_unknown: bool
    immature: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The result of a run."""

    watched: Watched
    parts: list[Part]
    alpha: float
    ranking: list[Finding]
    findings: list[Finding]
    estimates: list[Estimate]
    truth: Truth | None
    statement: Statement
    alarms: list[Alarm]
    light: Light = field(default=Light.GREEN)


def watch(watched: Watched) -> Figures:
    """Compute everything."""
    bundle, reference = watched.bundle, watched.window.reference
    parts = parts_of(watched.window, dict(watched.periods))
    drift = Drift(watched.window, parts)
    findings = drift.findings()
    costs = np.array(bundle.policy.costs)
    expected = estimates(parts, reference, costs)
    truth = None if watched.labelled is None else _truth(watched, watched.labelled, costs)
    ranking = ranked([*findings, *(truth.concept if truth else ())])
    moved = list(drift_alarms(ranking))
    alarms = [
        *door_alarms(watched.agreement),
        *(a for a in moved if a.topic is Topic.PERFORMANCE),  # before the cohorts that it made worse
        *(cohort_alarms(truth.cohorts) if truth else ()),
        *(a for a in moved if a.topic is Topic.DRIFT),
        *estimate_alarms(expected),
    ]
    return Figures(
        watched=watched,
        parts=parts,
        alpha=drift.alpha,
        ranking=ranking,
        findings=findings,
        estimates=expected,
        truth=truth,
        statement=statement(reference, truth.concept if truth else [], ranking),
        alarms=alarms,
        light=light(alarms),
    )


def _truth(watched: Watched, known: Labelled, costs: NDArray[np.float64]) -> Truth:
    matured = known.only(np.isin(known.periods, list(watched.matured)))
    decided, covered = _coverage(watched, known), _by_class(matured, len(costs))
    selected = refused_unknown(_decided(watched, set(watched.matured)), covered)
    yardstick = Yardstick(reference=watched.window.reference, costs=costs, refused_unknown=selected)
    sides = [(WHOLE, matured)] if len(matured) else []
    periods = sorted(set(matured.periods.tolist()))
    if len(periods) > 1:
        sides += [(watched.periods[period], matured.only(matured.periods == period)) for period in periods]
    evidence = [(name, Evidence(side, yardstick)) for name, side in sides]
    return Truth(
        coverage=decided,
        cohorts=[cohort(name, found, len(sides)) for name, found in evidence],
        concept=[label_mapping(name, side, watched.window.reference, len(sides)) for name, side in sides],
        falls=[fall for name, found in evidence for fall in falls(name, found)],
        calibration=calibration(matured),
        cut_offs=cut_offs(matured, watched.bundle.policy, refused_unknown=selected),
        refused_unknown=selected,
        immature=[watched.periods[p] for p in sorted({*known.periods.tolist()} - watched.matured)],
    )


def _by_class(rows: Labelled, count: int) -> NDArray[np.int64]:
    return np.bincount(rows.assigned, minlength=count)


def _decided(watched: Watched, periods: set[int]) -> NDArray[np.int64]:
    tally = watched.window.total(lambda cell: cell[0] in periods)
    return np.zeros(len(watched.bundle.spec.classes), dtype=np.int64) if tally is None else tally.classes


def _coverage(watched: Watched, known: Labelled) -> dict[str, dict[str, list[int]]]:
    count, found = len(watched.bundle.spec.classes), {}
    for period in watched.window.periods:
        outcomes = _by_class(known.only(known.periods == period), count)
        found[watched.periods[period]] = {
            "decisions": _decided(watched, {period}).tolist(),
            "outcomes": outcomes.tolist(),
        }
    return found

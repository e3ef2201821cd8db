"""From frames of decisions with features to what `monitoring.nightly.watch` looks at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from monitoring.nightly import SURVEYED, Intake, Outcomes, Plan, Survey, Watched
from scoring.bundle import Bundle, read_reference

_SHOWN = 5
Read = Callable[[list[str]], Iterator[pl.DataFrame]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """since <= as_of < until, where given, and after how many days a period's outcomes count as matured."""

    since: datetime | None
    until: datetime | None
    matured_days: int

    def conditions(self) -> list[pl.Expr]:
        """Return the conditions on as_of."""
        after = [] if self.since is None else [pl.col("as_of") >= self.since]
        return after if self.until is None else [*after, pl.col("as_of") < self.until]


def gather(bundle: Bundle, outcomes: Outcomes | None, read: Read, span: Span) -> tuple[Watched, Plan]:
    """Count all decisions that `read` yields; it is asked for some columns twice and must yield the same rows.

    Raises:
        InputError: there is no decision, or one of another bundle's classes.
        BundleError: the bundle has no reference.

    """
    survey = Survey()
    for frame in read(list(SURVEYED)):
        survey.add(frame)
    plan = survey.plan()
    intake = Intake(bundle, read_reference(bundle), plan, outcomes)
    for frame in read(intake.columns):
        intake.add(frame)
    agreement = intake.doors.agreement()
    periods = intake.window.periods
    watched = Watched(
        bundle=bundle,
        window=intake.window,
        first=plan.first,
        last=plan.last,
        periods={period: plan.name(period) for period in periods},
        agreement=agreement,
        decision_ids=_differing(read, intake) if agreement.differing else (),
        labelled=intake.labelled(),
        matured=frozenset() if outcomes is None else outcomes.matured(plan, periods, span.matured_days),
        notes=(f"{plan.repeated:,} repeated decisions (a run was done again) count once.",) if plan.repeated else (),
    )
    return watched, plan


def _differing(read: Read, intake: Intake) -> tuple[str, ...]:
    """Return decision ids of the first applications that doors decided differently."""
    keys = intake.doors.agreement().keys[:_SHOWN]
    found: list[str] = []
    for frame in read(["application_id", "customer_id", "as_of", "decision_id"]):
        found += frame.filter(intake.doors.key().is_in(keys.implode()))["decision_id"].to_list()
    return tuple(np.unique(found).tolist())

"""Alarms in words: what happened, why it is one, the threshold, what to do; and the light that they make together."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from metrics import named
from monitoring.nightly.agreement import Agreement
from monitoring.nightly.estimate import Estimate
from monitoring.nightly.finding import LARGE, LEAST_RATE_CHANGE, MODERATE, Finding, Kind
from monitoring.nightly.truth import Cohort, Compared

_IMPORTANT = 0.1  # weight from which a large shift of one feature makes the light red


class Topic(StrEnum):
    """What `--fail-on` chooses from."""

    DRIFT = "drift"
    PERFORMANCE = "performance"
    DOORS = "doors"


class Light(StrEnum):
    """The traffic light."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm. `severe` ones make the light red."""

    topic: Topic
    what: str
    where: str
    why: str
    threshold: str
    do: str
    severe: bool


_DO = {
    Kind.VALUES: "Ask what changed at its source: a release, a unit, a campaign, another kind of applicant. If it is "
    "real and stays, judge the model on it (credit report --data) and train again.",
    Kind.MISSING: "Ask the source why cells are empty; the model treats them as missing, which it was trained to, but "
    "not so often.",
    Kind.DIRT: "Look at the rejected cells where the file is made (credit features names them); a format changed.",
    Kind.UNSEEN: "A value that the spec does not know counts as missing. Correct the source, or declare it in the spec "
    "and train again.",
    Kind.SCORE: "Look at the features above: one of them moved with it, or other applicants come.",
    Kind.CLASSES: "Other applicants come, or the policy was changed. Ask sales and marketing before the model.",
    Kind.CONCEPT: "The same inputs lead to other outcomes than at training. Check how outcomes are defined and "
    "collected; if they are right, train again on recent outcomes. Estimates before outcomes do not hold until then.",
}
_FEWER = (
    "There are more usable values than at training: a source was mended, or something is filled in where nothing was "
    "known. Ask which; if it stays, train again, as the model saw few such values."
)


def drift_alarms(ranking: list[Finding]) -> Iterator[Alarm]:
    """Yield the alarms of what moved, in the order of the ranking."""
    for finding in ranking:
        if finding.alarm:
            concept = finding.kind is Kind.CONCEPT
            yield Alarm(
                topic=Topic.PERFORMANCE if concept else Topic.DRIFT,
                what=_what(finding),
                where=finding.where,
                why=_why(finding),
                threshold=_threshold(finding),
                do=_do(finding),
                severe=concept or (finding.psi >= LARGE and finding.weight >= _IMPORTANT),
            )


def _do(finding: Finding) -> str:
    fell = (finding.share or 0.0) < (finding.reference_share or 0.0)
    return _FEWER if fell and finding.kind in (Kind.MISSING, Kind.DIRT) else _DO[finding.kind]


def _what(finding: Finding) -> str:
    if finding.kind in (Kind.CONCEPT, Kind.CLASSES, Kind.SCORE):
        return f"{finding.name} moved"
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{finding.kind} of {finding.name}{detail} moved"


def _why(finding: Finding) -> str:
    if finding.kind is Kind.CONCEPT:
        return finding.detail
    if finding.share is not None and finding.reference_share is not None:
        return f"{finding.share:.1%} of {finding.rows:,} applications, {finding.reference_share:.1%} at training"
    return f"PSI {finding.psi:.3f} over {finding.rows:,} applications, chance reaches {finding.band:.3f}"


def _threshold(finding: Finding) -> str:
    if finding.kind is Kind.CONCEPT:
        return "more than chance, and 0.02 nats or 2 points of a class's share beyond training"
    if finding.low is not None and finding.high is not None:
        return f"outside {finding.low:.1%} to {finding.high:.1%} (chance), and by {LEAST_RATE_CHANGE:.0%} at least"
    return f"PSI over {max(MODERATE, finding.band):.3f}: {MODERATE} and what chance reaches"


def estimate_alarms(estimates: list[Estimate]) -> Iterator[Alarm]:
    """Yield the alarms of what is expected before outcomes are known."""
    for found in estimates:
        metric = named(found.metric)
        if found.alarm and found.value is not None and found.trained is not None:
            yield Alarm(
                topic=Topic.PERFORMANCE,
                what=f"expected {metric.short} got worse",
                where=found.where,
                why=f"{metric.shown(found.value)} expected, {metric.shown(found.trained)} at training",
                threshold=f"worse by {metric.shown(found.limit)}: chance and {metric.enough_in_words}",
                do="The applicants changed and the model says itself that it decides them worse. See what moved; check "
                "with the first outcomes; set prices or train again.",
                severe=True,
            )


def cohort_alarms(cohorts: list[Cohort]) -> Iterator[Alarm]:
    """Yield the alarms of what came true."""
    for found in cohorts:
        for metric in found.metrics:
            if metric.alarm and metric.value is not None and metric.trained is not None:
                yield _cohort_alarm(found.where, metric)


def _cohort_alarm(where: str, found: Compared) -> Alarm:
    metric = named(found.metric)
    expected = "" if found.stated is None else f"; {metric.shown(found.stated)} was expected of these"
    return Alarm(
        topic=Topic.PERFORMANCE,
        what=f"{metric.short} came out worse",
        where=where,
        why=f"{metric.shown(found.value)}, {metric.shown(found.trained)} at training{expected}",
        threshold=f"worse than chance explains, and by {metric.enough_in_words}",
        do="See below which part is due to other inputs and which to another relation of inputs and outcomes. Train "
        "again on recent outcomes, and judge the new bundle on this cohort before it is promoted.",
        severe=True,
    )


def door_alarms(agreement: Agreement) -> Iterator[Alarm]:
    """Yield the alarm of doors that differ."""
    if agreement.differing:
        yield Alarm(
            topic=Topic.DOORS,
            what="doors decided the same application differently",
            where=" and ".join(agreement.doors),
            why=f"{agreement.differing:,} of {agreement.shared:,} applications that came to several doors",
            threshold="any difference of a bit between two doors",
            do="Compare the features of one of them at both doors (its decision ids are in the JSON): a door was given "
            "other attributes or events. credit verify tells whether the doors themselves agree.",
            severe=True,
        )


def light(alarms: list[Alarm]) -> Light:
    """Return the light: red if an alarm is severe, amber if there is another one."""
    if any(alarm.severe for alarm in alarms):
        return Light.RED
    return Light.AMBER if alarms else Light.GREEN

"""What a run makes of its match rate and of the health of its columns: notes for a person, or the end of the run.

A join that finds nobody and a column that no cell fits leave every row decided and every decision wrong. Both end the
run where training's frozen rates make them improbable; whatever else is far worse than at training is a note.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from batch.score_partitions import Results
from features.errors import SettingsError
from features.rejects import APPLICATIONS
from features.rfm import Matches
from features.spec.contract import Spec
from scoring.bundle import REFERENCE, Bundle, Reference, read_reference
from scoring.health import NOT_COMPARED, Finding, compare_columns, compare_matches, listed
from storage.tables import SourceTable

Hint = Callable[[], str]
_CORRECT = "Correct the source; or, if these customers truly have no events, pass --allow-empty-events."


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the caller accepts: nobody with events, columns that are gone. `min_matched`: the least share of matches."""

    empty_events: bool = False
    degraded: tuple[str, ...] = ()
    min_matched: float | None = None

    def check(self, spec: Spec) -> None:
        """Refuse names that no attribute of the spec has.

        Raises:
            SettingsError: naming the first.

        """
        unknown = sorted(set(self.degraded) - {attribute.name for attribute in spec.attributes})
        if unknown:
            raise SettingsError(
                f"--allow-degraded {unknown[0]}: the spec has no such attribute. Expected one of its attributes' names."
            )


@dataclass(frozen=True, slots=True)
class Seen:
    """What came out of a run. `hint` looks, where events are missing, for what may be wrong with the join."""

    events: SourceTable
    scored: Results
    hint: Hint


@dataclass(slots=True)
class Night:
    """How many applications match for the manifest, notes about the run, and what ends it (empty: nothing)."""

    matches: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    advice: str = ""
    refusals: list[str] = field(default_factory=list)

    def say(self, text: str, *, refused: bool) -> None:
        """Add a note, or what ends the run."""
        (self.refusals if refused else self.notes).append(text)


def frozen(bundle: Bundle) -> Reference | None:
    """Read what the bundle froze of its training; None: a release before monitoring made it.

    Raises:
        BundleError: it changed since the bundle was read.

    """
    return read_reference(bundle) if REFERENCE in bundle.manifest["files"] else None


def judge_night(spec: Spec, reference: Reference | None, seen: Seen, accepted: Accepted) -> Night:
    """Compare a run with training."""
    night = Night(_match_facts(seen.scored.matches, reference))
    if reference is None or reference.matches is None:
        night.notes.append(NOT_COMPARED)
    if spec.groups:
        _judge_matches(night, reference, seen, accepted)
    dirt = seen.scored.total_dirt(spec).rows()
    for finding in compare_columns(reference, seen.scored.matches, dirt) if reference else ():
        _judge_column(night, finding, accepted)
    return night


def _match_facts(matches: Matches, reference: Reference | None) -> dict[str, Any]:
    known = None if reference is None else reference.matches
    return {**asdict(matches), "share": matches.share, "share_at_training": None if known is None else known.share}


def _judge_matches(night: Night, reference: Reference | None, seen: Seen, accepted: Accepted) -> None:
    known = None if reference is None else reference.matches
    finding = None if reference is None else compare_matches(reference, seen.scored.matches)
    gone = finding is not None and finding.gone
    if not seen.events.rows:
        text = f"{seen.events.shown}: the events have a header but no rows, so nobody has a history. {_CORRECT}"
        night.say(text, refused=(gone or known is None) and not accepted.empty_events)
        return
    hint = f" {seen.hint()}".rstrip() if finding or _too_few(seen, accepted) else ""
    if finding is not None:
        text = f"events: {finding.text}.{hint}"
        night.say(f"{text} {_CORRECT}" if gone else text, refused=gone and not accepted.empty_events)
    if _too_few(seen, accepted):
        night.say(_few(seen, accepted) + ("" if finding else hint), refused=True)


def _few(seen: Seen, accepted: Accepted) -> str:
    return (
        f"events: {seen.scored.matches.share:.1%} of the applications have a usable event, expected "
        f"{accepted.min_matched:.1%} at least (--min-matched)."
    )


def _too_few(seen: Seen, accepted: Accepted) -> bool:
    share = seen.scored.matches.share
    return accepted.min_matched is not None and share is not None and share < accepted.min_matched


def judge_alone(spec: Spec, seen: Seen, accepted: Accepted) -> Night:
    """Judge tables for which there is no training yet: nobody who matches, a column without any usable cell."""
    matches = seen.scored.matches
    night = Night(_match_facts(matches, None))
    if spec.groups and matches.applications and not matches.matched_applications:
        text = f"events: 0 of {matches.applications:,} applications have a usable event. {seen.hint()} {_CORRECT}"
        night.say(text, refused=not accepted.empty_events)
    elif spec.groups and _too_few(seen, accepted):
        night.say(f"{_few(seen, accepted)} {seen.hint()}".rstrip(), refused=True)
    for column, causes in unusable_cells(seen.scored, spec).items():
        if matches.applications and sum(causes.values()) == matches.applications:
            text = (
                f"column {column!r}: no cell is usable ({listed(causes)}). Correct the source or its kind in the spec"
            )
            night.say(f"{text}, or delete [attributes.{column}].", refused=column not in accepted.degraded)
    return night


def unusable_cells(scored: Results, spec: Spec) -> dict[str, dict[str, int]]:
    """Return the unusable cells of each attribute by cause, most frequent first."""
    found: dict[str, dict[str, int]] = {attribute.name: {} for attribute in spec.attributes}
    for table, column, cause, cells in scored.total_dirt(spec).sort("cells", descending=True).rows():
        if table == APPLICATIONS:
            found[column][cause] = cells
    return found


def _judge_column(night: Night, finding: Finding, accepted: Accepted) -> None:
    if not (finding.gone and finding.important):
        night.notes.append(finding.text)
        return
    text = (
        f"{finding.text}. The model relies on this column. Correct the source, or pass --allow-degraded "
        f"{finding.column} if this is known and accepted."
    )
    night.say(text, refused=finding.column not in accepted.degraded)

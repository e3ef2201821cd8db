"""What the live window shows of matches and columns, against what training froze. A door warns, it never stops."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric as Family

from features.matrix import list_features
from features.rejects import APPLICATIONS, Dirt
from features.rfm import Matches
from features.spec.contract import Spec
from monitoring.live.families import gauge
from monitoring.live.live_counts import Seen
from scoring.bundle import Reference
from scoring.health import Finding, compare_columns, compare_matches

LEAST_CHANCE = 1e-6  # of a finding: the window is looked at again and again
_EVENTS = "events"
_ANY_CAUSE = "without_value"
FAR_BELOW, GONE = 1, 2

Say = Callable[[str], None]


class LiveHealth:
    """Compares the window with training. Says each finding once, and again if it comes back."""

    def __init__(self, spec: Spec, reference: Reference | None, say: Say) -> None:
        """Take the contract, what training froze, and what tells a person."""
        self._reference = reference
        self._say = say
        self._said: set[str] = set()
        self._measures_events = bool(spec.groups)
        self._places = {} if reference is None else dict(_places(spec, reference))

    def look(self, window: Seen) -> dict[str, int]:
        """Return for each input 0, `FAR_BELOW` or `GONE`; tell a person what has become so."""
        if self._reference is None or self._reference.matches is None:
            return {}
        findings = {finding.column or _EVENTS: finding for finding in self._findings(self._reference, window)}
        for name, finding in findings.items():
            if name not in self._said:
                self._say(f"{finding.text}, in the last {window.rows:,} decisions")
        self._said = set(findings)
        known = [*([_EVENTS] if self._measures_events else []), *self._places]
        return {name: _level(findings.get(name)) for name in known}

    def collect(self, window: Seen) -> Iterator[Family]:
        """Give Prometheus what the window shows."""
        if self._measures_events and window.rows:
            yield gauge("credit_window_matched_share", {"": window.matched / window.rows})
        known = None if self._reference is None else self._reference.matches
        if self._measures_events and known is not None and known.share is not None:
            yield gauge("credit_matched_share_reference", {"": known.share})
        levels = self.look(window)
        if levels:
            yield gauge("credit_input_degraded", dict(levels))

    def _findings(self, reference: Reference, window: Seen) -> list[Finding]:
        share = reference.customers / max(reference.rows, 1)  # rows of a window count as many customers as at training
        seen = Matches(
            applications=window.rows,
            matched_applications=window.matched,
            recent_applications=window.matched,
            customers=round(window.rows * share),
        )
        dirt: list[Dirt] = [
            (APPLICATIONS, column, _ANY_CAUSE, window.missing[place])
            for column, place in self._places.items()
            if window.missing[place]
        ]
        matches = compare_matches(reference, seen, LEAST_CHANCE) if self._measures_events else None
        return [*([matches] if matches else []), *compare_columns(reference, seen, dirt, LEAST_CHANCE)]


def _level(finding: Finding | None) -> int:
    return 0 if finding is None else GONE if finding.gone and finding.important else FAR_BELOW


def _places(spec: Spec, reference: Reference) -> Iterator[tuple[str, int]]:
    """Yield for each attribute the place of an item that is missing where its cell is unusable."""
    sources = [feature.source for feature in list_features(spec)]
    own = {sources[item.columns[0]]: place for place, item in reversed(list(enumerate(reference.items)))}
    for attribute in spec.attributes:
        if attribute.name in own:
            yield attribute.name, own[attribute.name]

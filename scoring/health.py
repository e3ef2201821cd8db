"""Is tonight what the bundle knows from training? Match rate and usable cells against the frozen ones.

A share counts as gone where it is less than a hundredth of training's, which an ordinary night shows less often than
once in a million (`GONE`) and with ten customers at least; as far below where an ordinary night shows it less often
than once in a thousand (`FEW_MATCH`, by customers) and, of all columns and causes, once in 5,000 (`FAR_BELOW`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from features.cells import MISSING
from features.rejects import APPLICATIONS, Dirt
from features.rfm import Matches
from scoring.bundle.reference import ColumnHealth, Reference
from scoring.shortfall import Share, log_chance

__all__ = ["NOT_COMPARED", "Finding", "compare_columns", "compare_matches", "listed"]

GONE, FEW_MATCH, FAR_BELOW = 1e-6, 1e-3, 2e-4
NEARLY_NONE = 0.01  # of training's share
LEAST_CUSTOMERS = 10  # fewer never end a night
LEAST_USABLE = 0.2  # of a column's cells at training: a sparser one never ends a night
LEAST_IMPORTANCE = 0.01  # of the mean absolute SHAP values of all features: a lighter column never ends a night
NOT_COMPARED = (
    "the bundle holds no match rate and no column health of its training (it was published by an earlier release), so "
    "these are not compared; train or export the model again to have them compared"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is far worse than at training. `column` is None for the events; `gone`: next to nothing is left of it."""

    column: str | None
    gone: bool
    important: bool
    text: str


def compare_matches(reference: Reference, found: Matches, alpha: float = FEW_MATCH) -> Finding | None:
    """Compare the share of applications that have a usable event, or one in the longest window of the spec."""
    known = reference.matches
    if known is None or not known.matched_applications:
        return None
    for name, what in (("matched", "a usable event"), ("recent", "an event recent enough for the spec's windows")):
        count = f"{name}_applications"
        training = Share(getattr(known, count), known.applications, known.customers)
        tonight = Share(getattr(found, count), found.applications, found.customers)
        by_customer = name == "matched" and known.matched_customers > 0 and _is_counted_by_customer(found)
        chance = log_chance(*map(_customers, (known, found))) if by_customer else log_chance(training, tonight)
        if chance < math.log(alpha):
            text = (
                f"{tonight.good:,} of {tonight.cells:,} applications ({tonight.value:.1%}) have {what}, "
                f"{training.value:.1%} at training; {_rarity(chance)}"
            )
            return Finding(column=None, gone=is_gone(training, tonight, chance), important=True, text=text)
    return None


def _is_counted_by_customer(found: Matches) -> bool:
    """Tell it from the counts of a live window, which knows no customers; nothing matched counts either way."""
    return bool(found.matched_customers) or not found.matched_applications


def _customers(matches: Matches) -> Share:
    """Return the share of customers with a match: they are what luck draws, one application or many each."""
    return Share(matches.matched_customers, matches.customers, matches.customers)


def compare_columns(
    reference: Reference, found: Matches, dirt: Iterable[Dirt], alpha: float = FAR_BELOW
) -> list[Finding]:
    """Compare each column's usable cells, in the order of the spec; `dirt` as `features.rejects.DIRT` counts it."""
    causes: dict[str, dict[str, int]] = {}
    for table, column, cause, cells in dirt:
        if table == APPLICATIONS:
            causes.setdefault(column, {})[cause] = causes.get(column, {}).get(cause, 0) + cells
    health = reference.health or ()
    total = sum(item.importance for item in reference.items) or 1.0
    tests = sum(1 + len(causes.get(known.column, {})) for known in health)
    findings = (
        _compare_column(known, causes.get(known.column, {}), found, known.importance / total, alpha / tests)
        for known in health
    )
    return [finding for finding in findings if finding is not None]


def _compare_column(
    known: ColumnHealth, causes: dict[str, int], found: Matches, weight: float, alpha: float
) -> Finding | None:
    for cause, training, tonight in _shares(known, causes, found):
        chance = log_chance(training, tonight)
        if chance < math.log(alpha):
            what = "usable" if cause is None else f"free of {cause}"
            text = (
                f"column {known.column!r}: {tonight.value:.1%} of its cells are {what}, {training.value:.1%} at "
                f"training (unusable: {listed(causes)}); {_rarity(chance)}"
            )
            gone = cause is None and training.value >= LEAST_USABLE and is_gone(training, tonight, chance)
            return Finding(column=known.column, gone=gone, important=weight >= LEAST_IMPORTANCE, text=text)
    return None


def listed(causes: Mapping[str, int]) -> str:
    """List causes with their cells, most frequent first."""
    ordered = sorted(causes.items(), key=lambda found: (-found[1], found[0]))
    return ", ".join(f"{cause} {cells:,}" for cause, cells in ordered) or "none"


def _shares(known: ColumnHealth, causes: dict[str, int], found: Matches) -> Iterator[tuple[str | None, Share, Share]]:
    """Yield the usable cells, then the cells without each cause: one that is new shows although others became fewer."""
    cells = found.applications
    yield (
        None,
        Share(known.cells - sum(known.unusable.values()), known.cells, known.customers),
        Share(cells - sum(causes.values()), cells, found.customers),
    )
    for cause, count in causes.items():
        if cause != MISSING:
            yield (
                cause,
                Share(known.cells - known.unusable.get(cause, 0), known.cells, known.customers),
                Share(cells - count, cells, found.customers),
            )


def is_gone(training: Share, tonight: Share, chance: float) -> bool:
    """Tell whether next to nothing is left of a share, and chance does not explain it."""
    return (
        chance < math.log(GONE)
        and tonight.value <= NEARLY_NONE * training.value
        and tonight.customers >= LEAST_CUSTOMERS
    )


def _rarity(chance: float) -> str:
    power = min(-chance / math.log(10), 12.0)
    return f"an ordinary night shows this less than once in 10^{math.floor(power)}"

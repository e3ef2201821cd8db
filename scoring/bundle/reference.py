"""`reference.json`: what the applications of training looked like, frozen, so that monitoring has a fixed yardstick.

Sums and shares only: no row of a customer is in it.
"""

from dataclasses import asdict, dataclass, replace
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from features.rfm import Matches
from scoring.bundle.bins import Item
from scoring.bundle.folder import REFERENCE, Bundle, canonical_json, stored_file


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtCount:
    """Cells of a column that became missing, by cause, among the applications of training."""

    table: str
    column: str
    cause: str
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnHealth:
    """Cells of an attribute at training: how many, of how many customers, and the unusable ones by cause.

    `importance` is the mean absolute contribution of its features, in the unit of `Item.importance`.
    """

    column: str
    cells: int
    customers: int
    unusable: dict[str, int]
    importance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A metric on customers that the model never saw: stated from probabilities, realised, and how far they part.

    `error` is the standard error of realised minus stated by customer, `stated_error` that of stated alone; design
    effects are their squares over those of independent outcomes and applications.
    """

    stated: float | None
    realised: float | None
    error: float
    design_effect: float
    stated_error: float
    stated_design_effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Decisions on customers that the model never saw, under the bundle's policy.

    `excess_log_loss` is the log loss minus the one that the stated probabilities expect of themselves (nats), by
    application, with its standard error by customer. `gaps`: actual minus stated share of each class, with errors.
    """

    score_edges: tuple[float, ...]
    score_counts: tuple[int, ...]
    score_design_effect: float
    class_counts: tuple[int, ...]
    class_design_effect: float
    claims: dict[str, Claim]
    excess_log_loss: float
    excess_error: float
    gaps: tuple[float, ...]
    gap_errors: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month of training, by which what comes back every year, or grows with the data, is told from drift.

    `items`: per item its counts by bin and, behind them, missing rows. `scores` and `classes` are counts of held-out
    applications as in `Outputs`; empty where they are too few, `classes` also once the policy was changed.
    """

    name: str
    items: tuple[tuple[int, ...], ...]
    scores: tuple[int, ...]
    classes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The yardstick of a bundle. `rows` applications of `customers` customers, from `first` to `last` (dates).

    `months` are those of training with enough applications; none where training lies in one month, or was done by a
    release that did not keep them. `matches` and `health` are None where an earlier release trained.
    """

    rows: int
    customers: int
    first: str
    last: str
    items: tuple[Item, ...]
    dirt: tuple[DirtCount, ...]
    outputs: Outputs
    months: tuple[Month, ...] = ()
    matches: Matches | None = None
    health: tuple[ColumnHealth, ...] | None = None
    version: Literal[1] = 1

    def by_month(self, number: int) -> list[Item]:
        """Return an item as it was in each month of training."""
        counts = [month.items[number] for month in self.months]
        return [replace(self.items[number], counts=found[:-1], missing=found[-1]) for found in counts]

    def to_bytes(self) -> bytes:
        """Write the canonical JSON."""
        return canonical_json(asdict(self))

    @classmethod
    def from_bytes(cls, content: bytes, name: str = REFERENCE) -> "Reference":
        """Read JSON. `name` stands in messages.

        Raises:
            BundleError: not a reference of this release.

        """
        try:
            found = msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(f"{name}: not a reference of this release. Publish the bundle again.") from error
        if not (all(_fits(item) for item in found.items) and all(_month_fits(m, found) for m in found.months)):
            raise BundleError(f"{name}: bins and counts do not fit. Publish the bundle again.")
        return found


def _fits(item: Item) -> bool:
    return len(item.counts) == (len(item.values) or len(item.edges) + 1)


def _month_fits(month: Month, reference: Reference) -> bool:
    items, outputs = reference.items, reference.outputs
    return (
        [len(counts) for counts in month.items] == [len(item.counts) + 1 for item in items]
        and len(month.scores) in (0, len(outputs.score_counts))
        and len(month.classes) in (0, len(outputs.class_counts))
    )


def read_reference(bundle: Bundle) -> Reference:
    """Read the reference of a bundle.

    Raises:
        BundleError: the bundle was made before monitoring and has none, or it changed since the bundle was read.

    """
    if REFERENCE not in bundle.manifest["files"]:
        raise BundleError(
            f"{bundle.path}: holds no {REFERENCE}: it was published by a release before monitoring. Decisions of it go "
            "on as they are; to monitor them, train or export the model again with this release and promote it."
        )
    return Reference.from_bytes(stored_file(bundle, REFERENCE), str(bundle.path / REFERENCE))


def with_classes(reference: Reference, assigned: NDArray[np.int64], claims: dict[str, Claim]) -> Reference:
    """Return the reference of the same model under another policy; design effects stay as they were.

    Which classes the months of training would have got is not known without their instants.
    """
    outputs, count = reference.outputs, len(reference.outputs.class_counts)
    noise = ("error", "design_effect", "stated_error", "stated_design_effect")
    kept = {
        name: replace(claim, **{part: getattr(outputs.claims[name], part) for part in noise})
        for name, claim in claims.items()
    }
    counts = tuple(np.bincount(assigned, minlength=count).tolist())
    months = tuple(replace(month, classes=()) for month in reference.months)
    return replace(reference, months=months, outputs=replace(outputs, class_counts=counts, claims=kept))

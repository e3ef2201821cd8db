"""What another bundle would have decided: who gets another class, and what that is expected to cost or save."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BundleError
from features.spec.contract import probability_column
from receipts.replay.replay import Parts, by_content
from receipts.replay.rescore import REFUSED, Rescored, Rescorer, differences
from scoring.policy import Policy
from scoring.scorer import Scorer


@dataclass(slots=True)
class WhatIf:
    """`counts[former][other]`: receipts by class; costs are expected, by the other bundle's probabilities and prices.

    `former_cost` is that of the classes that were assigned, `other_cost` of those that would have been. `undecided`
    receipts cannot be scored by the other bundle: its features are others, or its spec refuses the application.
    """

    policy: Policy
    counts: NDArray[np.int64]
    former_cost: NDArray[np.float64]
    other_cost: NDArray[np.float64]
    undecided: int = 0
    by_column: Counter[str] = field(default_factory=Counter)

    def add(self, receipts: pl.DataFrame, made: Rescored) -> None:
        """Take what the other bundle made of some receipts."""
        found = differences(receipts, made)
        self.undecided += len(found.pop(REFUSED, ()))
        self.by_column.update({name: len(rows) for name, rows in found.items()})
        if not len(made.rows):
            return
        former, other = (self._codes(s) for s in (receipts[made.rows]["credit_class"], made.decisions["credit_class"]))
        expected = made.decisions.select(map(probability_column, self.policy.classes)).to_numpy().astype(
            np.float64
        ) @ np.array(self.policy.costs)
        rows = np.arange(len(former))
        np.add.at(self.counts, (former, other), 1)
        np.add.at(self.former_cost, (former, other), expected[rows, former])
        np.add.at(self.other_cost, (former, other), expected[rows, other])

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON: each change of class with its receipts and expected costs, and the total."""
        pairs = [(i, j) for i, j in np.argwhere(self.counts).tolist() if i != j]
        changes = [
            {
                "from": self.policy.classes[i],
                "to": self.policy.classes[j],
                **self._money((np.array([i]), np.array([j]))),
            }
            for i, j in pairs
        ]
        everyone = np.nonzero(self.counts)
        return {
            "receipts": int(self.counts.sum()),
            "undecided": self.undecided,
            "changed": int(self.counts.sum() - np.trace(self.counts)),
            "currency": self.policy.currency,
            "changes": changes,
            "total": self._money(everyone),
            "by_column": dict(self.by_column.most_common()),
        }

    def _money(self, cells: tuple[NDArray[np.int64], ...]) -> dict[str, float]:
        before, after = float(self.former_cost[cells].sum()), float(self.other_cost[cells].sum())
        return {
            "receipts": int(self.counts[cells].sum()),
            "cost_before": round(before, 2),
            "cost_after": round(after, 2),
            "saved": round(before - after, 2),
        }

    def _codes(self, classes: pl.Series) -> NDArray[np.int64]:
        return classes.cast(pl.Enum(self.policy.classes)).to_physical().to_numpy().astype(np.int64)


def what_if(parts: Parts, scorer: Scorer) -> WhatIf:
    """Decide receipts of any bundles anew by one bundle.

    Raises:
        BundleError: a receipt has a class that the bundle does not know.
        InputError: a segment is missing or changed.

    """
    policy, rescorer = scorer.bundle.policy, Rescorer(scorer)
    shape = (len(policy.classes), len(policy.classes))
    report = WhatIf(policy, np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape))
    for segment, receipts in parts:
        unknown = set(receipts["credit_class"].unique()) - set(policy.classes)
        if unknown:
            raise BundleError(
                f"{scorer.bundle.path}: does not know the class {', '.join(sorted(unknown))}, which receipts of "
                f"{segment.folder} have. Compare with a bundle of the same classes."
            )
        for full, some in by_content(receipts):
            report.add(some, rescorer.from_applications(some) if full else rescorer.from_features(some))
    return report

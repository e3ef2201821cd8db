"""Do the cut-offs still fit: what the policy costs, and which multiplier would cost least today. A recommendation."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metrics import Floats, resamples
from monitoring.nightly.truth import Labelled
from scoring.policy import Policy

MULTIPLES = np.geomspace(1 / 8, 8, 49)
_MOST_CUSTOMERS, _LEAST_CUSTOMERS = 20_000, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOffs:
    """Realised cost per decision by multiple of the policy's multiplier (1: as it is), and the best one.

    `low` and `high` hold the best multiple in 95 % of the resamples by customer; `saving` is what it would have saved a
    decision, with its interval. `changed` says whether the saving is more than chance.
    """

    multiplier: float
    stated: float
    realised: float
    curve: tuple[tuple[float, float], ...]
    best: float
    low: float
    high: float
    saving: float
    saving_low: float
    saving_high: float
    rows: int
    refused_unknown: bool

    @property
    def changed(self) -> bool:
        """Whether another multiplier would have cost less by more than chance."""
        return self.best != 1 and self.saving_low > 0


def cut_offs(rows: Labelled, policy: Policy, *, refused_unknown: bool) -> CutOffs | None:
    """Price other multipliers on what came true; None with fewer than 50 customers.

    Where only those who were not turned down have outcomes, multipliers below the present one, which approve more,
    cannot be judged and are left out.
    """
    _, owner = np.unique(rows.customers, return_inverse=True)
    if owner.max(initial=-1) + 1 < _LEAST_CUSTOMERS:
        return None
    if owner.max() >= _MOST_CUSTOMERS:
        kept = owner < _MOST_CUSTOMERS
        rows, owner = rows.only(kept), owner[kept]
    multiples = [float(m) for m in MULTIPLES if m >= 1 - 1e-9 or not refused_unknown]
    sums, present = _by_customer(rows, policy, multiples, owner), int(np.abs(np.log(multiples)).argmin())
    sizes = np.bincount(owner)
    costs = sums.sum(axis=0) / len(rows)
    drawn = np.concatenate([(draws @ sums) / (draws @ sizes)[:, None] for draws in resamples(len(sums))])
    best, saved = int(costs.argmin()), drawn[:, present] - drawn[:, int(costs.argmin())]
    low, high = np.percentile(np.array(multiples)[drawn.argmin(axis=1)], (2.5, 97.5))
    expected = np.take_along_axis(rows.probabilities @ np.array(policy.costs), rows.assigned[:, None], axis=1)
    return CutOffs(
        multiplier=policy.multiplier,
        stated=float(expected.mean()),
        realised=float(costs[present]),
        curve=tuple(zip(multiples, costs.tolist(), strict=True)),
        best=1.0 if best == present else multiples[best],
        low=float(low),
        high=float(high),
        saving=float(costs[present] - costs[best]),
        saving_low=float(np.percentile(saved, 2.5)),
        saving_high=float(np.percentile(saved, 97.5)),
        rows=len(rows),
        refused_unknown=refused_unknown,
    )


def _by_customer(rows: Labelled, policy: Policy, multiples: list[float], owner: Any) -> Floats:
    prices, columns = np.array(policy.costs), []
    for multiple in multiples:
        assigned = replace(policy, multiplier=policy.multiplier * multiple).assign(rows.probabilities)
        columns.append(np.bincount(owner, prices[rows.actual, assigned]))
    return np.stack(columns, axis=1).astype(np.float64)

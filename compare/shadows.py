"""A challenger beside the champion, from the log of a door: who would change, in money and lost good applicants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from compare.sequential import Stand, stand
from features.errors import InputError
from metrics import Floats, Outcome, evaluate_all, paired_by_customer, share
from receipts.log import Segment, all_segments, overlaps
from receipts.outcomes import read_outcomes
from receipts.replay import find_bundles
from scoring.bundle import Bundle, read_bundle

_SAME = ("door", "request_id", "topic", "partition", "offset", "application_id", "as_of")
_APART = timedelta(hours=1)  # at most, between a decision and the receipt of a challenger beside it
_OUTCOME = ("expected_cost", "false_negative_rate", "false_negative_rate_wide", "accuracy", "auc", "log_loss")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Applications, by their ids, that both decided. Classes are indices, worst first.

    `actual` is -1 where nothing came true yet. `probabilities` and `assigned` are those of the champion, then of the
    challenger; `champions` their bundles, the newest last.
    """

    challenger: Bundle
    champions: tuple[Bundle, ...]
    customers: NDArray[np.int64]
    applications: pl.Series
    assigned: tuple[NDArray[np.int64], NDArray[np.int64]]
    probabilities: tuple[Floats, Floats]
    actual: NDArray[np.int64]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, worst first."""
        return self.challenger.spec.classes

    @property
    def costs(self) -> Floats:
        """What decisions cost by the newest champion's policy: `costs[actual][assigned]`."""
        return np.array(self.champions[-1].policy.costs)

    @property
    def currency(self) -> str:
        """The currency of the costs."""
        return self.champions[-1].policy.currency


def read_pairs(log: Path, challenger: str, bundles: Path) -> Pairs:
    """Read what a challenger, named by its id or the first digits of it, would have decided, and what was decided.

    Raises:
        InputError: the log has no such receipts, or of several such challengers, or is damaged.
        BundleError: `bundles` lacks a bundle.

    """
    every = all_segments(log)
    shadows = _shadows_of(log, every, challenger)
    span = min(one.first_decided_at for one in shadows) - _APART, max(one.last_decided_at for one in shadows) + _APART
    others = [one for one in every if not one.shadow and one.bundle_id != shadows[0].bundle_id and overlaps(one, *span)]
    opened = {name: read_bundle(path) for name, path in find_bundles(bundles, [*others, *shadows]).items()}
    own = opened[shadows[0].bundle_id]
    decided = [one for one in others if opened[one.bundle_id].spec.classes == own.spec.classes]  # no other has shadows
    if not decided:
        raise InputError(
            f"{log}: holds no decision of another bundle from the time of this challenger. Was it removed?"
        )
    joined = _frame(decided, opened).join(
        _frame(shadows, opened), on=_SAME, how="inner", suffix=":after", nulls_equal=True, maintain_order="left"
    )
    joined = joined.unique("decision_id", keep="last", maintain_order=True)  # asked for again, it is the same decision
    if joined.is_empty():
        raise InputError(f"{log}: holds none of the decisions beside which this challenger decided. Were they removed?")
    champions = tuple(opened[name] for name in joined["bundle_id"].unique(maintain_order=True))
    outcomes = read_outcomes(log).select("application_id", outcome="credit_class")
    joined = joined.join(outcomes, on="application_id", how="left", maintain_order="left")
    return pairs_of(joined, own, champions)


def _shadows_of(log: Path, every: Sequence[Segment], challenger: str) -> list[Segment]:
    found = [segment for segment in every if segment.shadow and segment.bundle_id.startswith(challenger.strip())]
    names = sorted({segment.bundle_id for segment in found})
    if len(names) == 1:
        return found
    known = sorted({segment.bundle_id[:12] for segment in every if segment.shadow})
    there = f"There are those of {', '.join(known)}." if known else "Was a door started with --challenger and --log?"
    what = "receipts of several challengers whose ids begin so" if names else "no receipts of this challenger"
    raise InputError(f"{log}: holds {what}. {there}")


def _frame(chosen: Sequence[Segment], bundles: dict[str, Bundle]) -> pl.DataFrame:
    """Return the receipts of segments, the earliest first; of a decision that was made again the last one."""
    own = (*_SAME, "decision_id", "customer_id", "decided_at", "bundle_id", "credit_class")
    wanted = [[*own, *bundles[segment.bundle_id].spec.probability_columns] for segment in chosen]
    frames = [frame for segment, names in zip(chosen, wanted, strict=True) for frame in segment.frames(names)]
    return pl.concat(frames).sort("decided_at", maintain_order=True).unique(_SAME, keep="last", maintain_order=True)


def pairs_of(joined: pl.DataFrame, challenger: Bundle, champions: tuple[Bundle, ...]) -> Pairs:
    """Return what both decided, from one row of each; columns of the challenger end in `:after`."""
    spec = challenger.spec
    index = {name: place for place, name in enumerate(spec.classes)}
    codes = [
        joined[name].replace_strict(index, default=-1, return_dtype=pl.Int64).to_numpy()
        for name in ("credit_class", "credit_class:after", "outcome")
    ]
    columns = spec.probability_columns
    after = [f"{name}:after" for name in columns]
    return Pairs(
        challenger=challenger,
        champions=champions,
        applications=joined["application_id"],
        customers=joined["customer_id"].rank("dense").cast(pl.Int64).to_numpy(),
        assigned=(codes[0], codes[1]),
        probabilities=(joined.select(columns).to_numpy().astype(float), joined.select(after).to_numpy().astype(float)),
        actual=codes[2],
    )


def compared(pairs: Pairs) -> dict[str, Any]:
    """Return all figures: who would change, what each thinks of the other, what came true, and whether to stop."""
    before, after = pairs.assigned
    everyone = np.ones(len(before), dtype=np.bool_)
    known = pairs.actual >= 0
    return {
        "challenger": pairs.challenger.bundle_id,
        "champions": [bundle.bundle_id for bundle in pairs.champions],
        "name": pairs.challenger.spec.name,
        "currency": pairs.currency,
        "applications": len(before),
        "customers": len(np.unique(pairs.customers)),
        "changed": share(before != after, everyone, pairs.customers),
        "classes": [
            {"class": name, "champion": share(before == i, everyone, pairs.customers)}
            | {"challenger": share(after == i, everyone, pairs.customers)}
            for i, name in enumerate(pairs.classes)
        ],
        "moves": _moves(pairs),
        "expected": {
            name: paired_by_customer(_saved_by(pairs, of), pairs.customers)
            for name, of in zip(("champion", "challenger"), pairs.probabilities, strict=True)
        },
        "outcomes": _outcomes(pairs, known) if known.any() else None,
    }


def _moves(pairs: Pairs) -> list[dict[str, Any]]:
    cells = np.bincount(
        pairs.assigned[0] * len(pairs.classes) + pairs.assigned[1], minlength=len(pairs.classes) ** 2
    ).reshape(len(pairs.classes), -1)
    return [
        {"from": name, "to": {other: int(cells[i, j]) for j, other in enumerate(pairs.classes)}}
        for i, name in enumerate(pairs.classes)
    ]


def _saved_by(pairs: Pairs, probabilities: Floats) -> Floats:
    """What each of the challenger's decisions would save, if these probabilities are true."""
    expected = probabilities @ pairs.costs
    rows = np.arange(len(expected))
    saved: Floats = expected[rows, pairs.assigned[0]] - expected[rows, pairs.assigned[1]]
    return saved


def _outcomes(pairs: Pairs, known: NDArray[np.bool_]) -> dict[str, Any]:
    actual, customers = pairs.actual[known], pairs.customers[known]
    before, after = (assigned[known] for assigned in pairs.assigned)
    judged = evaluate_all(
        {
            name: Outcome(
                classes=pairs.classes,
                actual=actual,
                assigned=assigned,
                probabilities=of[known],
                customers=customers,
                costs=pairs.costs,
            )
            for name, assigned, of in zip(("champion", "challenger"), (before, after), pairs.probabilities, strict=True)
        }
    )
    paid = pairs.costs[actual, before]
    saved = paid - pairs.costs[actual, after]
    good = actual == len(pairs.classes) - 1
    lost = (before == 0).astype(float) - (after == 0)
    now = _stand(saved, paid, customers)
    return {
        "applications": len(actual),
        "customers": now.customers,
        **{
            name: {metric: found["metrics"][metric] for metric in _OUTCOME if metric in found["metrics"]}
            for name, found in judged.items()
        },
        "saved": paired_by_customer(saved, customers),
        "fewer_false_negatives": paired_by_customer(lost[good], customers[good]) if good.any() else None,
        "stop": {
            "judgement": now.judgement,
            "stop": now.judgement.stops,
            "saved_a_customer": now.saved,
            "low": now.low if now.customers > 1 else None,
            "high": now.high if now.customers > 1 else None,
            "customers": now.customers,
            "customers_with_another_cost": now.changed,
        },
    }


def _stand(saved: Floats, paid: Floats, customers: NDArray[np.int64]) -> Stand:
    _, index = np.unique(customers, return_inverse=True)
    return stand(np.asarray(np.bincount(index, saved), dtype=np.float64), float(paid.sum()) / (int(index.max()) + 1))

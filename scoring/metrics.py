"""How good are decisions: precision, recall, false negatives, log loss, calibration and cost, with intervals.

Every figure is a ratio of sums over applications, so a bootstrap over customers only needs each customer's sums.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15
REPEATS = 500
_BLOCK = 50
_UNBOUNDED = ("log_loss", "brier_score", "expected_cost")
INTERVAL = (2.5, 97.5)
_FLOOR = 1e-15

Sums = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided and what came true, one entry per application; classes are indices, worst first.

    `costs[actual][assigned]` is money, or None where costs are not known.
    """

    classes: tuple[str, ...]
    actual: NDArray[np.int64]
    assigned: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    customers: NDArray[np.int64]
    costs: NDArray[np.float64] | None = None


def evaluate(outcome: Outcome, seed: int = 0) -> dict[str, Any]:
    """Compute all metrics, each as {"value", "low", "high"}: the 95 % interval of a bootstrap over customers.

    Null where a metric is not defined (precision of a class that was never assigned).
    """
    sums = _sums(outcome)
    _, customers = np.unique(outcome.customers, return_inverse=True)
    by_customer = {name: _group_sums(values, customers) for name, values in sums.items()}
    values = _metrics({name: v.sum(axis=0) for name, v in by_customer.items()}, outcome)
    resampled = _bootstrap(by_customer, lambda s: _metrics(s, outcome), seed)
    count = len(outcome.classes)
    confusion = by_customer["confusion"].sum(axis=0).astype(int).reshape(count, count)
    return {
        "applications": len(outcome.actual),
        "customers": len(by_customer["confusion"]),
        "metrics": {name: _with_interval(name, v, [r[name] for r in resampled]) for name, v in values.items()},
        "confusion": {
            actual: {assigned: int(confusion[i, j]) for j, assigned in enumerate(outcome.classes)}
            for i, actual in enumerate(outcome.classes)
        },
    }


def _sums(outcome: Outcome) -> Sums:
    """Return per application what the metrics are sums of."""
    count, rows = len(outcome.classes), np.arange(len(outcome.actual))
    confusion = np.zeros((len(rows), count * count))
    confusion[rows, outcome.actual * count + outcome.assigned] = 1
    truth = np.eye(count)[outcome.actual]
    p = outcome.probabilities
    bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.zeros((len(rows), count, CALIBRATION_BINS))
    for c in range(count):
        gaps[rows, c, bins[:, c]] = p[:, c] - truth[:, c]
    sums = {
        "confusion": confusion,
        "log_loss": -np.log(np.maximum(p[rows, outcome.actual], _FLOOR)),
        "brier": ((p - truth) ** 2).sum(axis=1),
        "gaps": gaps.reshape(len(rows), -1),
    }
    if outcome.costs is not None:
        sums["cost"] = outcome.costs[outcome.actual, outcome.assigned]
    return sums


def _group_sums(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    table = values.reshape(len(values), -1)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.add.reduceat(table[order], starts, axis=0) if len(starts) else np.zeros((0, table.shape[1]))


def _metrics(sums: Sums, outcome: Outcome) -> dict[str, float | None]:
    """Turn sums into metrics. False negatives: a good applicant assigned the worst class (wide: any below Good)."""
    classes, count = outcome.classes, len(outcome.classes)
    table = sums["confusion"].reshape(count, count)
    total, hits = table.sum(), np.diag(table)
    precision, recall = _ratios(hits, table.sum(axis=0)), _ratios(hits, table.sum(axis=1))
    f1 = _ratios(2 * hits, table.sum(axis=0) + table.sum(axis=1))
    metrics = {
        "accuracy": _ratio(hits.sum(), total),
        "macro_f1": float(np.mean([f or 0.0 for f in f1])),
        "false_negative_rate": _ratio(table[-1, 0], table[-1].sum()),
        "false_negative_rate_wide": _ratio(table[-1, :-1].sum(), table[-1].sum()),
        **{f"precision_{name}": value for name, value in zip(classes, precision, strict=True)},
        **{f"recall_{name}": value for name, value in zip(classes, recall, strict=True)},
        "log_loss": _ratio(sums["log_loss"].sum(), total),
        "brier_score": _ratio(sums["brier"].sum(), total),
        "calibration_error": _ratio(np.abs(sums["gaps"]).sum(), total * count),
    }
    if "cost" in sums:
        metrics["expected_cost"] = _ratio(sums["cost"].sum(), total)
    return metrics


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _ratios(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> list[float | None]:
    return [_ratio(part, whole) for part, whole in zip(parts, wholes, strict=True)]


def _bootstrap(
    by_customer: Sums, compute: Callable[[Sums], dict[str, float | None]], seed: int
) -> list[dict[str, float | None]]:
    """Draw customers with replacement; a draw is a count per customer, so its sums are one product."""
    customers = len(by_customer["confusion"])
    if not customers:
        return []
    names = list(by_customer)
    table = np.concatenate([by_customer[name] for name in names], axis=1)
    ends = np.cumsum([by_customer[name].shape[1] for name in names])[:-1]
    results = []
    for drawn in resamples(customers, seed):  # in blocks: a product of matrices is many times faster than row by row
        results += [compute(dict(zip(names, np.split(row, ends), strict=True))) for row in drawn @ table]
    return results


def resamples(customers: int, seed: int = 0) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of bootstrap draws (draws x customers): how often each customer was drawn."""
    generator = np.random.default_rng(seed)
    for _ in range(REPEATS // _BLOCK):
        chosen = [generator.integers(0, customers, customers) for _ in range(_BLOCK)]
        yield np.stack([np.bincount(draw, minlength=customers) for draw in chosen]).astype(np.float64)


def _with_interval(name: str, value: float | None, resampled: list[float | None]) -> dict[str, float | None]:
    """Percentile interval, shifted by the bootstrap's own bias (noticeable for the calibration error alone)."""
    known = [r for r in resampled if r is not None]
    if value is None or not known:
        return {"value": value, "low": None, "high": None}
    low, high = np.percentile(known, INTERVAL) - (np.mean(known) - value)
    highest = np.inf if name in _UNBOUNDED else 1.0
    return {"value": round(value, 6), "low": round(max(0.0, low), 6), "high": round(float(min(highest, high)), 6)}

"""False negatives against precision: the curve of a policy whose price for wrong approvals is raised and lowered."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from metrics import (
    Asked,
    Decided,
    Floats,
    Metric,
    Place,
    by_customer,
    listed,
    not_certain,
    resamples,
    value_of,
    with_interval,
)
from scoring.policy import Policy
from training.evaluate.judged import Classes, Judged
from training.weights import weighted_shares

__all__ = ["trade_off"]

MULTIPLES = np.geomspace(1 / 8, 8, 33)


def trade_off(judged: Judged, *, intervals: bool = True) -> dict[str, Any]:
    """Return the curve, named points on it and beside it, and the classes that the policy never assigns.

    `multiple`: what the policy's price of calling another class by the best class's name is multiplied by. Intervals
    are a bootstrap over customers.
    """
    named = dict(named_decisions(judged))
    curve = [_priced(judged.policy, worse=float(m)).assign(judged.probabilities) for m in MULTIPLES]
    points = _points(judged, [*named.values(), *curve], intervals=intervals)
    assigned = named["policy"]
    return {
        "points": dict(zip(named, points, strict=False)),
        "curve": [{"multiple": round(float(m), 4), **p} for m, p in zip(MULTIPLES, points[len(named) :], strict=True)],
        "class_mix": {name: _mix(classes, judged) for name, classes in named.items()},
        "never_assigned": [name for i, name in enumerate(judged.spec.classes) if not (assigned == i).any()],
    }


def named_decisions(judged: Judged) -> Iterator[tuple[str, Classes]]:
    """Yield the decisions that are compared, by name; the policy first."""
    policy, p = judged.policy, judged.probabilities
    yield "policy", policy.assign(p)
    yield "argmax", p.argmax(axis=1)
    at_precision = _at_precision(judged)
    if at_precision is not None:
        yield "policy_at_the_precision_of_argmax", at_precision
    yield "lost_good_applicants_cost_half", _priced(policy, good=0.5).assign(p)
    yield "lost_good_applicants_cost_double", _priced(policy, good=2.0).assign(p)
    yield "wrong_approvals_cost_half", _priced(policy, worse=0.5).assign(p)
    yield "wrong_approvals_cost_double", _priced(policy, worse=2.0).assign(p)


def _priced(policy: Policy, *, worse: float = 1.0, good: float = 1.0) -> Policy:
    """Multiply the prices of calling others the best class, and of calling the best class anything else."""
    rows = [list(row) for row in policy.costs]
    rows[-1][:-1] = [cost * good for cost in rows[-1][:-1]]
    costs = tuple(tuple(row) for row in rows)
    return replace(policy, costs=costs, multiplier=policy.multiplier * worse)


def _at_precision(judged: Judged) -> Classes | None:
    """Find the curve's first point that is as precise as the argmax; None if there is none. Post hoc, to compare."""
    best, decided, p = len(judged.spec.classes) - 1, judged.decided, judged.probabilities
    wanted = _precision(replace(decided, assigned=p.argmax(axis=1)))
    for multiple in np.geomspace(1 / 8, 8, 241):
        assigned = _priced(judged.policy, worse=float(multiple)).assign(p)
        if (assigned == best).any() and _precision(replace(decided, assigned=assigned)) >= wanted:
            return assigned
    return None


def _precision(decided: Decided) -> float:
    found = value_of("precision", decided)
    return 1.0 if found is None else found


def _mix(assigned: Classes, judged: Judged) -> dict[str, float]:
    shares = weighted_shares(assigned, judged.examples.weights, len(judged.spec.classes))
    return {name: round(float(v), 6) for name, v in zip(judged.spec.classes, shares, strict=True)}


def _points(judged: Judged, all_assigned: list[Classes], *, intervals: bool) -> list[dict[str, Any]]:
    """Return the metrics of each set of decisions, with intervals by customer."""
    _, customers = np.unique(judged.examples.customers, return_inverse=True)
    sums = np.concatenate([by_customer(_cells(judged, assigned), customers) for assigned in all_assigned], axis=1)
    drawn = np.concatenate([draws @ sums for draws in resamples(len(sums))]) if intervals else sums[:0]
    parts = np.split(sums.sum(axis=0)[None, :], len(all_assigned), axis=1), np.split(drawn, len(all_assigned), axis=1)
    asked, decided = Asked(len(judged.spec.classes), costs=judged.costs), judged.decided
    return [
        _point(asked, total, resampled, replace(decided, assigned=assigned))
        for total, resampled, assigned in zip(*parts, all_assigned, strict=True)
    ]


def _point(asked: Asked, total: Floats, drawn: Floats, decided: Decided) -> dict[str, Any]:
    figures = ((metric, _figure(metric, asked, total, drawn)) for metric in listed(Place.POLICY))
    return {metric.name: not_certain(metric, found, decided) for metric, found in figures}


def _cells(judged: Judged, assigned: Classes) -> Floats:
    """Mark the cell of each application (rows x actual * assigned)."""
    cells: Floats = np.eye(len(judged.spec.classes) ** 2)
    own, weights = cells[judged.examples.actual * len(judged.spec.classes) + assigned], judged.examples.weights
    return np.asarray(own if weights is None else own * weights[:, None])


def _figure(metric: Metric, asked: Asked, total: Floats, drawn: Floats) -> dict[str, float | None]:
    part, whole = (weights.ravel() for weights in metric.cells(asked) or (np.zeros(0), np.zeros(0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        value, resampled = float((total @ part / (total @ whole))[0]), drawn @ part / (drawn @ whole)
    return with_interval(metric, value, resampled)

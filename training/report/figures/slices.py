"""The same figures by month, by category and by quantile of a feature. Small slices are not shown."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells import kind_of
from features.matrix import list_features
from metrics import Place, Z, figure, listed, log_losses, mean, named, weighted_mean
from training.evaluate.judged import Judged
from training.report.figures.importance import bins_of

__all__ = ["without_policy"]

LEAST_CUSTOMERS = 50
_FLAG_Z = 3.29  # one in a thousand: many slices are looked at
_QUANTILES = 4

Mask = NDArray[np.bool_]


def months(judged: Judged) -> list[dict[str, Any]]:
    """Return the figures of each calendar month (UTC) of `as_of`, with the log loss."""
    instants = pl.Series(judged.examples.as_of, dtype=pl.Int64).cast(pl.Datetime("us"))
    month = instants.dt.strftime("%Y-%m").to_numpy()
    customers, loss = judged.examples.customers, log_losses(judged.probabilities, judged.examples.actual)
    found = []
    for name in sorted(set(month.tolist())):
        inside = month == name
        part = figures_of(judged, inside)
        extra = {} if "suppressed" in part else {"log_loss": mean(loss[inside], customers[inside], _of(judged, inside))}
        found.append({"month": name, **part, **extra})
    return found


def _of(judged: Judged, inside: Mask) -> NDArray[np.float64] | None:
    weights = judged.examples.weights
    return None if weights is None else weights[inside]


def slices(judged: Judged, important: list[str]) -> list[dict[str, Any]]:
    """Return the figures by category of each categorical attribute, and by quartile of the `important` features."""
    everyone = np.ones(len(judged.examples), dtype=bool)
    overall = figures_of(judged, everyone)["false_negative_rate"]["value"]
    found = []
    for feature, label, inside in _cuts(judged, important):
        part = figures_of(judged, inside)
        if "suppressed" not in part:
            part["flagged"] = _is_worse(judged, inside, overall)
        found.append({"feature": feature, "values": label, **part})
    return found


def figures_of(judged: Judged, inside: Mask) -> dict[str, Any]:
    """Return sizes, shares, precision, false negatives and cost of some rows; sizes alone where customers are few."""
    examples, best = judged.examples, len(judged.spec.classes) - 1
    customers = examples.customers
    sizes = {"n": int(inside.sum()), "customers": len(np.unique(customers[inside]))}
    if sizes["customers"] < LEAST_CUSTOMERS:
        return {**sizes, "suppressed": f"fewer than {LEAST_CUSTOMERS} customers"}
    stated = judged.probabilities[inside, best].astype(np.float64)
    return {
        **sizes,
        "stated_good_share": round(weighted_mean(stated, _of(judged, inside)), 6),
        **{metric.name: figure(metric, judged.decided, inside) for metric in listed(Place.SLICES)},
    }


def without_policy(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of months or slices without what depends on the policy."""
    decided = {metric.name for metric in listed(Place.SLICES)} - {"good_share"}
    return {key: value for key, value in row.items() if key not in {*decided, "flagged"}}


def _is_worse(judged: Judged, inside: Mask, overall: float | None) -> bool:
    """Tell whether the slice loses clearly more good applicants than all, at one in a thousand."""
    found = figure(named("false_negative_rate"), judged.decided, inside, max(_FLAG_Z, Z))
    return found["low"] is not None and overall is not None and found["low"] > overall


def _cuts(judged: Judged, important: list[str]) -> Iterator[tuple[str, str, Mask]]:
    matrix = judged.examples.matrix
    attributes = {a.name: a for a in judged.spec.attributes}
    for i, feature in enumerate(list_features(judged.spec)):
        attribute = attributes.get(feature.source)
        column = matrix[:, i]
        if attribute is not None and kind_of(attribute).indicators(attribute):
            yield attribute.name, feature.name.partition("=")[2], column == 1
        elif attribute is not None and attribute.ordered:
            for rank, value in enumerate(attribute.values):
                yield attribute.name, value, column == rank
        elif feature.name in important:
            for label, inside in bins_of(column, _QUANTILES):
                yield feature.name, label, inside

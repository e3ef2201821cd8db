"""Which features decide, and in which direction: exact SHAP values of the exported model, summed up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Feature
from scoring.reasons import ShapTables
from training.evaluate.judged import Judged

_MOST_ROWS = 20_000
_SHOWN, _DEPENDENCE = 20, 6
_FEW_VALUES, _QUANTILES, _LEAST_IN_A_BIN = 12, 10, 20

Floats = NDArray[np.float64]


def importance(judged: Judged, tables: ShapTables) -> dict[str, Any]:
    """Return the mean absolute contribution of each feature to the worst class against the best, and its course.

    At most 20,000 rows, drawn with a seed. Values of a feature are binned, so that no application can be read off.
    """
    matrix = judged.examples.matrix
    rows = len(matrix)
    if rows > _MOST_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(rows, _MOST_ROWS, replace=False))
        matrix = matrix[chosen]
    against = tables.against(matrix, 0)
    strength = np.abs(against).mean(axis=1) if len(matrix) else np.zeros(len(against))
    order = np.lexsort((np.arange(len(strength)), -strength))
    described = list_features(judged.spec)
    return {
        "rows": len(matrix),
        "features": [{**_named(described[i]), **_weight(strength, i)} for i in order[:_SHOWN]],
        "dependence": [
            {"feature": described[i].name, "unit": described[i].unit, "bins": bins}
            for i in order[:_DEPENDENCE]
            if strength[i] > 0 and len(bins := _course(matrix[:, i], against[i])) > 1
        ],
    }


def _named(feature: Feature) -> dict[str, Any]:
    return {"feature": feature.name, "description": feature.description, "unit": feature.unit}


def _weight(strength: NDArray[np.float64], i: int) -> dict[str, Any]:
    share = strength[i] / max(strength.sum(), 1e-12)
    return {"mean_absolute": round(float(strength[i]), 6), "share": round(float(share), 6)}


def bins_of(values: NDArray[np.float32], quantiles: int) -> list[tuple[str, NDArray[np.bool_]]]:
    """Name and select the values of a feature: each one where they are few, else quantiles; missing ones apart."""
    present = ~np.isnan(values)
    distinct = np.unique(values[present])
    if len(distinct) <= _FEW_VALUES:
        found = [(_short(float(value)), values == value) for value in distinct]
    else:
        edges = np.unique(np.quantile(values[present].astype(np.float64), np.linspace(0, 1, quantiles + 1)[1:-1]))
        place = np.searchsorted(edges, values.astype(np.float64), side="right")
        ends = [float(distinct[0]), *edges.tolist(), float(distinct[-1])]
        found = [(_between(ends[i], ends[i + 1]), present & (place == i)) for i in range(len(edges) + 1)]
    return [*found, ("missing", ~present)] if not present.all() else found


def _between(low: float, high: float) -> str:
    return f"{_short(low)} to {_short(high)}"


def _short(value: float) -> str:
    """Four digits, and thousands with a comma instead of an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _course(values: NDArray[np.float32], contributions: Floats) -> list[dict[str, Any]]:
    found = []
    for label, inside in bins_of(values, _QUANTILES):
        if inside.sum() >= _LEAST_IN_A_BIN:
            part = contributions[inside]
            low, high = np.percentile(part, (10, 90))
            found.append(
                {
                    "values": label,
                    "n": int(inside.sum()),
                    "mean": round(float(part.mean()), 5),
                    "low": round(float(low), 5),
                    "high": round(float(high), 5),
                }
            )
    return found

"""Make `reference.json`: bins of all usable applications of training, decisions on its held-out customers."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.applications import CUSTOMER
from features.cells import kind_of
from features.matrix import FeatureTable, list_features
from features.rejects import APPLICATIONS
from features.spec.contract import Spec
from metrics import (
    Linear,
    Sums,
    clustered_error,
    confusion_of,
    excess_log_losses,
    monitored,
    residuals,
    sampling_variance,
    stated_parts,
    variance,
    weighted_mean,
)
from scoring.bundle import (
    Claim,
    Column,
    ColumnHealth,
    DirtCount,
    Item,
    Month,
    Outputs,
    Reference,
    count,
    design_effect,
    place,
    quantile_edges,
    with_classes,
)
from scoring.decisions import credit_scores
from scoring.reasons import ShapTables
from training.evaluate.judged import Judged

_MOST_CUSTOMERS, _MOST_ROWS = 20_000, 20_000  # for design effects, and for contributions
_LEAST_MONTH, _LEAST_JUDGED = 500, 200  # applications of a month: fewer would excuse a drift by their own noise
_MOST_MONTHS = 36

Indices = NDArray[np.int64]


def make_reference(table: FeatureTable, judged: Judged, tables: ShapTables) -> Reference:
    """Freeze what training saw. `judged` are the held-out customers under the policy that is published."""
    columns = list(np.asfortranarray(table.matrix).T)
    customers = table.applications[CUSTOMER].to_numpy()
    strength = _strength(judged.examples.matrix, tables)
    days = table.applications["as_of"].cast(pl.Datetime("us")).dt.date()
    items = tuple(_complete(item, columns, customers, strength) for item in _items(judged.spec, columns))
    outputs = _outputs(judged)
    return Reference(
        rows=len(table.matrix),
        customers=len(np.unique(customers)),
        first=str(days.min()),
        last=str(days.max()),
        items=items,
        dirt=tuple(DirtCount(**row) for row in table.dirt.to_dicts()),
        outputs=outputs,
        months=tuple(_months(table, judged, items, outputs)),
        matches=table.matches if table.matching else None,
        health=tuple(_health(table, judged.spec, strength, len(np.unique(customers)))),
    )


def _health(table: FeatureTable, spec: Spec, strength: NDArray[np.float64], customers: int) -> Iterator[ColumnHealth]:
    sources = [feature.source for feature in list_features(spec)]
    for attribute in spec.attributes:
        own = [i for i, source in enumerate(sources) if source == attribute.name]
        yield ColumnHealth(
            column=attribute.name,
            cells=len(table.matrix),
            customers=customers,
            unusable={c: n for t, column, c, n in table.counted if (t, column) == (APPLICATIONS, attribute.name)},
            importance=round(float(strength[own].sum()), 6),
        )


def under_policy(reference: Reference, judged: Judged) -> Reference:
    """Return the reference under the policy of `judged`, whose rows may come from the stored histogram."""
    return with_classes(reference, judged.assigned, _claims(judged))


def _strength(matrix: NDArray[np.float32], tables: ShapTables) -> NDArray[np.float64]:
    if len(matrix) > _MOST_ROWS:
        matrix = matrix[np.sort(np.random.default_rng(0).choice(len(matrix), _MOST_ROWS, replace=False))]
    against = np.abs(tables.against(matrix, 0))
    return against.mean(axis=1) if len(matrix) else np.zeros(len(against))


def _items(spec: Spec, columns: list[Column]) -> Iterator[Item]:
    """Yield one item per numeric feature, and one for all values of a category without order."""
    categories = {a.name for a in spec.attributes if kind_of(a).indicators(a)}
    members: dict[str, list[int]] = {}
    features = list_features(spec)
    for i, feature in enumerate(features):
        name = feature.source if feature.source in categories else feature.name
        members.setdefault(name, []).append(i)
    for name, own in members.items():
        values = tuple(features[i].name.partition("=")[2] for i in own) if name in categories else ()
        yield Item(
            name=name,
            columns=tuple(own),
            edges=() if values else quantile_edges(columns[own[0]]),
            values=values,
            counts=(),
            missing=0,
            design_effect=1.0,
            missing_design_effect=1.0,
            importance=0.0,
        )


def _complete(item: Item, columns: list[Column], customers: Indices, strength: NDArray[np.float64]) -> Item:
    counts = count(item, columns).tolist()
    some = customers < _MOST_CUSTOMERS  # numbers in the order of their first application
    places, bins = place(item, [column[some] for column in columns]), len(counts) - 1
    absent = (places == bins).astype(np.int64)
    return Item(
        name=item.name,
        columns=item.columns,
        edges=item.edges,
        values=item.values,
        counts=tuple(counts[:-1]),
        missing=counts[-1],
        design_effect=round(design_effect(places, bins, customers[some]), 4),
        missing_design_effect=round(design_effect(absent, 2, customers[some]), 4),
        importance=round(float(strength[list(item.columns)].sum()), 6),
    )


def _outputs(judged: Judged) -> Outputs:
    customers, count_ = judged.examples.customers, len(judged.spec.classes)
    points = _points(judged)
    edges = quantile_edges(points)
    places = np.searchsorted(np.array(edges, dtype=np.float32), points, side="left")
    p = judged.probabilities.astype(np.float64)
    excess = excess_log_losses(p, judged.examples.actual)
    gaps, own = np.eye(count_)[judged.examples.actual] - p, _shares(judged)
    return Outputs(
        score_edges=edges,
        score_counts=_counts(places, len(edges) + 1, judged.examples.weights),
        score_design_effect=round(design_effect(places, len(edges) + 1, customers), 4),
        class_counts=_counts(judged.assigned, count_, judged.examples.weights),
        class_design_effect=round(design_effect(judged.assigned, count_, customers), 4),
        claims=_claims(judged),
        excess_log_loss=round(weighted_mean(excess, judged.examples.weights), 6),
        excess_error=round(clustered_error(excess * own, customers), 6),
        gaps=tuple(round(weighted_mean(gap, judged.examples.weights), 6) for gap in gaps.T),
        gap_errors=tuple(round(clustered_error(gap * own, customers), 6) for gap in gaps.T),
    )


def _shares(judged: Judged) -> NDArray[np.float64]:
    """Return what share of a mean over the judged applications each of them makes."""
    weights = judged.examples.weights
    return np.full(len(judged.examples), 1 / len(judged.examples)) if weights is None else weights / weights.sum()


def _counts(places: Indices, size: int, weights: NDArray[np.float64] | None) -> tuple[int, ...]:
    """Count by place; where applications have weights, as many as these say, rounded."""
    return tuple(np.rint(np.bincount(places, weights, size)).astype(np.int64).tolist())


def _months(table: FeatureTable, judged: Judged, items: tuple[Item, ...], outputs: Outputs) -> Iterator[Month]:
    """Yield the last months that have enough applications, if training has several months."""
    of_rows, of_judged = _month(table.applications["as_of"]), _month(pl.Series(judged.examples.as_of))
    names, sizes = np.unique(of_rows, return_counts=True)
    points = _points(judged)
    for name in names[sizes >= _LEAST_MONTH][-_MOST_MONTHS:] if len(names) > 1 else ():
        own, known = [column[of_rows == name] for column in np.asfortranarray(table.matrix).T], of_judged == name
        enough = int(known.sum()) >= _LEAST_JUDGED
        scores = _by_score(points[known], outputs.score_edges) if enough else ()
        classes = np.bincount(judged.assigned[known], minlength=len(outputs.class_counts)).tolist() if enough else ()
        counts = tuple(tuple(count(item, own).tolist()) for item in items)
        yield Month(name=str(name), items=counts, scores=tuple(scores), classes=tuple(classes))


def _month(as_of: pl.Series) -> NDArray[np.str_]:
    return as_of.cast(pl.Datetime("us")).dt.strftime("%Y-%m").to_numpy().astype(str)


def _points(judged: Judged) -> NDArray[np.float32]:
    return credit_scores(judged.probabilities[:, 0], judged.spec.scaling).astype(np.float32)


def _by_score(points: NDArray[np.float32], edges: tuple[float, ...]) -> tuple[int, ...]:
    places = np.searchsorted(np.array(edges, dtype=np.float32), points, side="left")
    return tuple(np.bincount(places, minlength=len(edges) + 1).tolist())


def _claims(judged: Judged) -> dict[str, Claim]:
    p, assigned = judged.probabilities.astype(np.float64), judged.assigned
    sums, weights = Sums.of(p, assigned), judged.examples.weights
    stated = sums if weights is None else Sums.of(p * weights[:, None], assigned)
    came_true = monitored(confusion_of(judged.decided), judged.costs)
    claimed = monitored(stated.confusion, judged.costs)
    return {name: _claim(linear, came_true[name].value, judged, sums) for name, linear in claimed.items()}


def _claim(linear: Linear, realised: float | None, judged: Judged, sums: Sums) -> Claim:
    p, assigned, customers = judged.probabilities.astype(np.float64), judged.assigned, judged.examples.customers
    weights = np.ones(len(p)) if judged.examples.weights is None else judged.examples.weights
    apart, stated = residuals(linear, p, assigned, judged.examples.actual), stated_parts(linear, p, assigned)
    return Claim(
        stated=_rounded(linear.value),
        realised=_rounded(realised),
        error=round(clustered_error(apart * weights, customers), 8),
        design_effect=_effect(clustered_error(apart, customers), variance(linear, sums)),
        stated_error=round(clustered_error(stated * weights, customers), 8),
        stated_design_effect=_effect(clustered_error(stated, customers), sampling_variance(linear, sums)),
    )


def _effect(error: float, alone: float) -> float:
    return round(max(1.0, error**2 / alone), 4) if alone > 0 else 1.0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)

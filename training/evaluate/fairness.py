"""Rates by group, the adverse impact ratio and a proxy check. Groups are never a model input and never stored."""

from typing import Any

import numpy as np
import polars as pl
import xgboost
from numpy.typing import NDArray
from scipy import stats

from features.applications import identifier
from features.errors import InputError
from features.matrix import list_features
from metrics import Place, auc, figure, listed, resamples
from training.evaluate.judged import Judged
from training.report.sections.sections_fairness import MEASURES

__all__ = ["fairness", "read_groups"]

LEAST_CUSTOMERS = 50
NOT_STATED = "not stated"
_ROUNDS, _FOLDS, _SHOWN = 30, 5, 5
_PROXY = {
    "max_depth": 6,
    "max_leaves": 16,
    "learning_rate": 0.15,
    "objective": "multi:softprob",
    "grow_policy": "lossguide",
    "tree_method": "hist",
    "nthread": 1,
}

Groups = NDArray[np.int64]
Floats = NDArray[np.float64]


def read_groups(groups: pl.DataFrame, applications: pl.DataFrame) -> pl.DataFrame:
    """Check a groups table against the applications; returns (application_id, group), both text, null where blank.

    Raises:
        InputError: a column is missing, an id is repeated, missing or not among the applications.

    """
    missing = [name for name in ("application_id", "group") if name not in groups.columns]
    if missing:
        raise InputError(f"groups: column {', '.join(missing)} is missing. Expected application_id and group.")
    ids = groups.select(identifier(groups.schema, "groups", "application_id")).to_series()
    if ids.is_duplicated().any() or ids.null_count():
        raise InputError("groups: application_id must be present and not repeated. Keep one row per application.")
    known = applications.select(identifier(applications.schema, "applications", "application_id")).to_series()
    unknown = int((~ids.is_in(known.implode())).sum())
    if unknown:
        raise InputError(
            f"groups: {unknown} application_ids are not among the applications. Give the data that they belong to."
        )
    group = groups["group"].cast(pl.String, strict=False).str.strip_chars().replace("", None)
    return pl.DataFrame({"application_id": ids, "group": group})


def fairness(judged: Judged, application_ids: pl.Series, groups: pl.DataFrame) -> dict[str, Any]:
    """Return rates with 95 % intervals by group, ratios to the group that is refused least, and the proxy check.

    Groups with fewer than 50 customers are named, without figures. Applications without a group stand apart as "not
    stated": they are nobody's group, so they are compared with none.

    Raises:
        InputError: fewer than two groups are large enough.

    """
    names, member = _members(application_ids, groups)
    customers = judged.examples.customers
    large = [i for i in range(len(names)) if len(np.unique(customers[member == i])) >= LEAST_CUSTOMERS]
    if len(large) < 2:
        raise InputError(
            f"groups: {len(large)} groups have {LEAST_CUSTOMERS} judged customers or more, expected two. "
            "Give more data."
        )
    rows: list[dict[str, Any]] = [
        _rates(judged, name, member == i)
        if i in large
        else {"group": name, "suppressed": f"fewer than {LEAST_CUSTOMERS} customers"}
        for i, name in enumerate(names)
    ]
    reference = max(large, key=lambda i: (rows[i]["not_refused_share"]["value"], -i))
    for measure in MEASURES:
        for i, ratio in _ratios(judged, member, large, reference, measure).items():
            rows[i][f"{measure}_ratio"] = ratio
    others = [i for i in large if i != reference]
    unstated = member < 0
    if len(np.unique(customers[unstated])) >= LEAST_CUSTOMERS:
        rows.append(_rates(judged, NOT_STATED, unstated))
    return {
        "without_group": int((member < 0).sum()),
        "groups": rows,
        "reference": names[reference],
        "least_ratios": {m: _least([rows[i][f"{m}_ratio"] for i in others]) for m in MEASURES},
        "proxy": _proxy(judged, member, [names[i] for i in large], large),
    }


def _members(application_ids: pl.Series, groups: pl.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
    """Return the groups by name, and the index of each application's; -1 where none is stated."""
    asked = pl.DataFrame({"application_id": application_ids})
    stated = asked.join(groups, on="application_id", how="left", maintain_order="left")["group"]
    names = sorted(stated.drop_nulls().unique().to_list())
    index = {name: i for i, name in enumerate(names)}
    return names, stated.replace_strict(index, default=-1, return_dtype=pl.Int64).to_numpy()


def _least(ratios: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the least ratio; one that is not defined only where none is."""
    return min(ratios, key=lambda ratio: np.inf if ratio["value"] is None else ratio["value"])


def _rates(judged: Judged, name: str, inside: NDArray[np.bool_]) -> dict[str, Any]:
    decided = judged.decided
    return {
        "group": name,
        "n": int(inside.sum()),
        "customers": len(np.unique(decided.customers[inside])),
        **{metric.name: figure(metric, decided, inside) for metric in listed(Place.GROUPS)},
    }


def _ratios(
    judged: Judged, member: Groups, large: list[int], reference: int, measure: str
) -> dict[int, dict[str, float | None]]:
    """Return each group's rate over the reference's, with a bootstrap over customers."""
    least = 1 if measure == "not_refused" else len(judged.spec.classes) - 1
    favoured = judged.assigned >= least
    _, customers = np.unique(judged.examples.customers, return_inverse=True)
    weights = np.ones(len(favoured)) if judged.examples.weights is None else judged.examples.weights
    columns = [np.bincount(customers, weights * x * (member == i)) for i in large for x in (favoured, favoured | True)]
    sums = np.stack(columns, axis=1).astype(np.float64)
    drawn = np.concatenate([draws @ sums for draws in resamples(len(sums))])
    place = large.index(reference)
    return {i: _ratio(sums.sum(axis=0)[None, :], drawn, k, place) for k, i in enumerate(large)}


def _ratio(total: Floats, drawn: Floats, group: int, reference: int) -> dict[str, float | None]:
    with np.errstate(divide="ignore", invalid="ignore"):
        value, resampled = (
            (t[:, 2 * group] / t[:, 2 * group + 1]) / (t[:, 2 * reference] / t[:, 2 * reference + 1])
            for t in (total, drawn)
        )
    known = resampled[np.isfinite(resampled)]
    if not np.isfinite(value[0]) or not len(known):
        return {"value": None, "low": None, "high": None}
    low, high = np.percentile(known, (2.5, 97.5))
    return {"value": round(float(value[0]), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _proxy(judged: Judged, member: Groups, names: list[str], large: list[int]) -> dict[str, Any]:
    """Predict the group from the features, cross-validated by customer: AUC of each group against the others."""
    inside = np.isin(member, large)
    matrix, customers = judged.examples.matrix[inside], judged.examples.customers[inside]
    target = np.searchsorted(np.array(large), member[inside])
    shuffled = np.random.default_rng(0).permutation(np.unique(customers))
    aucs, gains = [], np.zeros(matrix.shape[1])
    for fold in range(_FOLDS):
        test = np.isin(customers, shuffled[fold::_FOLDS])
        data = xgboost.DMatrix(matrix[~test], label=target[~test])
        booster = xgboost.train({**_PROXY, "num_class": len(names), "verbosity": 0, "seed": 0}, data, _ROUNDS)
        stated = booster.predict(xgboost.DMatrix(matrix[test]))
        found = (auc(stated[:, i], target[test] == i) for i in range(len(names)))
        aucs.append([np.nan if area is None else area for area in found])
        for feature, gain in booster.get_score(importance_type="total_gain").items():
            gains[int(feature.removeprefix("f"))] += float(gain)  # type: ignore[arg-type]
    return _judge_proxy(np.array(aucs, dtype=np.float64), names, gains, judged)


def _judge_proxy(aucs: Floats, names: list[str], gains: Floats, judged: Judged) -> dict[str, Any]:
    means = np.nanmean(aucs, axis=0)
    half = stats.t.ppf(0.975, _FOLDS - 1) * np.nanstd(aucs, axis=0, ddof=1) / np.sqrt(_FOLDS)
    found = {
        name: {"value": round(float(m), 4), "low": round(float(m - h), 4), "high": round(float(min(1, m + h)), 4)}
        for name, m, h in zip(names, means, half, strict=True)
    }
    features = [feature.name for feature in list_features(judged.spec)]
    strongest = [features[i] for i in np.argsort(-gains, kind="stable")[:_SHOWN] if gains[i] > 0]
    told = max(found.values(), key=lambda figure: figure["low"])
    if told["low"] > 0.5:
        verdict = (
            f"The features predict the group (AUC up to {max(f['value'] for f in found.values()):.2f}, 0.5 is chance): "
            f"they may stand in for it. Strongest: {', '.join(strongest)}."
        )
    else:
        verdict = "The features predict the group no better than chance (AUC near 0.5)."
    return {"auc": found, "strongest": strongest, "verdict": verdict}

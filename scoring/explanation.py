"""One application explained: its decision, its reasons, and what each feature contributed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from features.explain_row import describe_application
from scoring.reasons.explainer import Explainer
from scoring.scorer import Scorer

__all__ = ["Explanation", "explain_application"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What `credit explain` shows.

    `decision` is the record that the doors write. `classes` are the two that are compared: the assigned class and the
    best one; where the best was assigned, the most likely other one and the best. `features` has one record per
    feature, the largest contribution first: feature, code, contribution (positive speaks against the applicant), value,
    text, median, unit, description. `unit` is that of contributions.
    """

    decision: dict[str, Any]
    classes: tuple[str, str]
    unit: str
    features: tuple[dict[str, Any], ...]

    def by_code(self) -> list[tuple[str, float]]:
        """Return codes with the sums of their features' contributions, the largest first, ties by code."""
        sums: dict[str, float] = {}
        for record in self.features:
            sums[record["code"]] = sums.get(record["code"], 0.0) + record["contribution"]
        return sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))


def explain_application(
    scorer: Scorer,
    applications: pl.DataFrame,
    events: pl.DataFrame,
    application_id: str,
    explainer: Explainer | None = None,
) -> Explanation:
    """Score one application of a table and explain it; with an explainer other than the bundle's, in its words.

    Raises:
        InputError: there is no such application, it is there more than once, or it is rejected (says why).

    """
    spec, explainer = scorer.bundle.spec, explainer or scorer.bundle.explainer
    described = describe_application(applications, events, application_id, spec)
    own = applications.filter(pl.col("application_id").cast(pl.String).str.strip_chars() == application_id)
    scored = scorer.score(own, events)
    (decision,), row = scored.decisions.to_dicts(), scored.features
    assigned = np.array([spec.classes.index(decision["credit_class"])])
    decision["reasons"] = explainer.reasons(row, assigned).to_list()[0]
    compared = _compared_class(decision, spec.classes, spec.probability_columns)
    contributions = explainer.tables.against(row, compared)[:, 0].tolist()
    records = [
        {**record, "code": entry.code, "median": entry.median, "contribution": value}
        for record, entry, value in zip(described, explainer.book.entries, contributions, strict=True)
    ]
    records.sort(key=lambda record: -abs(record["contribution"]))
    classes = (spec.classes[compared], spec.best_class)
    return Explanation(decision=decision, classes=classes, unit=explainer.book.unit, features=tuple(records))


def _compared_class(decision: dict[str, Any], classes: tuple[str, ...], columns: tuple[str, ...]) -> int:
    assigned = classes.index(decision["credit_class"])
    if assigned < len(classes) - 1:
        return assigned
    return int(np.argmax([decision[column] for column in columns[:-1]]))

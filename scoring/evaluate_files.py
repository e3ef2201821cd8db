"""Compare written decisions with labels."""

from typing import Any

import numpy as np
import polars as pl

from features.applications import identifier
from features.errors import InputError
from features.sampling_weights import sampling_weights
from features.spec.class_values import class_texts, spelled
from features.spec.contract import Spec, probability_column
from metrics import Outcome, against, class_curves, evaluate, sentences
from scoring.policy import Policy

__all__ = ["check_made_by", "evaluate_decisions", "refuse_decisions"]

_ROUNDING = 1e-3


def evaluate_decisions(
    decisions: pl.DataFrame, labels: pl.DataFrame, policy: Policy | None = None, spec: Spec | None = None
) -> dict[str, Any]:
    """Join by application_id and evaluate; with a policy also the cost. Text columns (CSV) are taken as well.

    The classes are in the policy's order; without one, in the order of the decisions' probability columns. Where the
    labels have the column of weights that `spec` names, applications count by it, and those of weight 0 do not.

    Raises:
        InputError: columns are missing, an id is repeated, a class or number is unusable, or nothing matches.

    """
    columns = _probability_columns(decisions, policy)
    joined = _joined(decisions, labels, columns)
    weights = None
    if spec is not None and spec.weights.column in labels.columns:
        weights = sampling_weights({"labels": labels}, joined["application_id"], spec)
    if weights is not None:
        joined, weights = joined.filter(pl.Series(weights > 0)), weights[weights > 0]
    if joined.is_empty():
        raise InputError("labels: every labelled application has a weight of 0, so there is nothing to evaluate.")
    classes = _class_names(columns, joined, policy)
    index = {name: i for i, name in enumerate(classes)}
    outcome = Outcome(
        classes=classes,
        actual=joined["actual"].replace_strict(index, return_dtype=pl.Int64).to_numpy(),
        assigned=joined["credit_class"].replace_strict(index, return_dtype=pl.Int64).to_numpy(),
        probabilities=_probabilities(joined, columns),
        customers=joined["customer_id"].cast(pl.String).rank("dense").cast(pl.Int64).to_numpy(),
        costs=None if policy is None else np.array(policy.costs),
        weights=weights,
    )
    found = {**evaluate(outcome), "against": against(outcome)}
    said = sentences(found, classes, None if policy is None else policy.currency)
    weighed = {} if weights is None else {"weights": spec.weights.column if spec else ""}
    return {"decisions": decisions.height, **weighed, **found, "curves": class_curves(outcome), "said": list(said)}


def _joined(decisions: pl.DataFrame, labels: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    refuse_decisions(labels)
    decided = _texts(decisions, "decisions", "application_id", "customer_id", "credit_class")
    if decided["credit_class"].null_count():
        raise InputError("decisions: a credit_class is missing. Expected what `credit score` writes.")
    assigned = set(decided["credit_class"])
    others = set(columns) - {probability_column(name) for name in assigned}
    known = assigned | {column.removeprefix("p_") for column in others}
    truth = _truth(labels, known)
    joined = decided.hstack(decisions.select(columns)).join(
        truth, on="application_id", how="inner", maintain_order="left"
    )
    joined = joined.drop_nulls("actual")
    if joined.is_empty():
        raise InputError(
            "labels: no application_id of the labels is among the decisions. Check that they belong together."
        )
    return joined


def _truth(labels: pl.DataFrame, known: set[str]) -> pl.DataFrame:
    """Return application_id and `actual`, spelled as decisions spell their classes; null where a label is empty."""
    if "credit_class" in labels.columns:
        labels = labels.with_columns(credit_class=class_texts(labels["credit_class"]))
    truth = _texts(labels, "labels", "application_id", "credit_class")
    actual = spelled(truth["credit_class"].replace("", None), known)
    return truth.select("application_id", actual.alias("actual"))


def refuse_decisions(labels: pl.DataFrame) -> None:
    """Refuse decisions in the place of labels: both have application_id and credit_class, but theirs is no truth.

    Raises:
        InputError: the table has a decision_id.

    """
    if "decision_id" in labels.columns:
        raise InputError(
            "labels: are decisions, found a column decision_id. Expected application_id and the credit_class that came "
            "true; a model that is judged by its own decisions is always right."
        )


def check_made_by(decisions: pl.DataFrame, bundle_id: str) -> None:
    """Check that decisions were made by this bundle, whose policy is about to price them.

    Raises:
        InputError: some were made by another one.

    """
    if "bundle_id" not in decisions.columns:
        raise InputError("decisions: column bundle_id is missing. Expected what `credit score` writes.")
    others = decisions.filter(pl.col("bundle_id").cast(pl.String).ne_missing(bundle_id))
    if others.height:
        raise InputError(
            f"decisions: {others.height} of {decisions.height} were made by another bundle than {bundle_id}. "
            "Give the bundle that their column bundle_id names."
        )


def _texts(table: pl.DataFrame, name: str, *expected: str) -> pl.DataFrame:
    missing = [column for column in expected if column not in table.columns]
    if missing:
        raise InputError(f"{name}: column {', '.join(missing)} is missing. Expected {', '.join(expected)}.")
    texts = table.select(identifier(table.schema, name, column) for column in expected)
    if texts["application_id"].is_duplicated().any():
        raise InputError(f"{name}: an application_id is repeated. Keep one row per application.")
    return texts


def _probability_columns(decisions: pl.DataFrame, policy: Policy | None) -> list[str]:
    """Name the probability columns, worst class first: in the policy's order, or else as they stand."""
    columns = [name for name in decisions.columns if name.startswith("p_")]
    if policy is not None:
        wanted = [probability_column(name) for name in policy.classes]
        if sorted(wanted) != sorted(columns):
            raise InputError(f"decisions: expected the bundle's columns {', '.join(wanted)}. Name their bundle.")
        columns = wanted
    unreadable = [c for c in columns if not (decisions.schema[c].is_numeric() or decisions.schema[c] == pl.String)]
    if unreadable or not columns:
        raise InputError("decisions: expected probability columns p_... with numbers, as `credit score` writes.")
    return columns


def _class_names(columns: list[str], joined: pl.DataFrame, policy: Policy | None) -> tuple[str, ...]:
    """Name the classes of the probability columns, worst first, as decisions and labels (or the policy) spell them."""
    found = set(joined["credit_class"].drop_nulls()) | set(joined["actual"])
    found |= set(policy.classes) if policy else set()
    names = {probability_column(name): name for name in found}
    strangers = sorted(set(names) - set(columns))
    if strangers or len(names) != len(found):
        raise InputError(
            "labels: a credit_class has no probability column in the decisions. Expected one of "
            f"{', '.join(column.removeprefix('p_') for column in columns)}."
        )
    return tuple(names.get(column, column.removeprefix("p_").capitalize()) for column in columns)


def _probabilities(joined: pl.DataFrame, columns: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    table = joined.select(pl.col(name).cast(pl.Float32, strict=False).cast(pl.Float64) for name in columns)
    values = table.to_numpy()
    if not (np.isfinite(values).all() and (values >= 0).all() and (abs(values.sum(axis=1) - 1) < _ROUNDING).all()):
        raise InputError(
            "decisions: probabilities are not numbers from 0 to 1 that add up to 1. Expected what was scored."
        )
    return values

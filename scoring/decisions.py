"""The decision: the record that every door writes for one application."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.cells.instants import INSTANT_FORMAT
from features.matrix import FeatureTable, mark_missing
from features.spec.contract import ScoreScaling, Spec
from scoring.policy import Policy
from scoring.reasons.explainer import MOST_REASONS, REASON, Explainer, Ranked

__all__ = [
    "Decided",
    "Rules",
    "as_frame",
    "credit_scores",
    "decision_ids",
    "decision_lines",
    "decision_schema",
    "flat_reasons",
    "make_decisions",
    "mark_as_decided",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All that turns probabilities into decisions."""

    spec: Spec
    policy: Policy
    explainer: Explainer
    bundle_id: str


def decision_schema(spec: Spec) -> pl.Schema:
    """Return the columns of decisions, in order."""
    return pl.Schema(
        {
            "decision_id": pl.String(),
            "application_id": pl.String(),
            "customer_id": pl.String(),
            "as_of": pl.Datetime("us", "UTC"),
            **dict.fromkeys(spec.probability_columns, pl.Float32()),
            "credit_class": pl.String(),
            "credit_score": pl.Int32(),
            "reasons": pl.List(REASON),
            "bundle_id": pl.String(),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Decisions before they have a form; one entry per application of `applications`, in its order.

    `assigned` holds indices of classes, `reasons` the reasons of each row.
    """

    rules: Rules
    applications: pl.DataFrame
    ids: list[str]
    probabilities: NDArray[np.float32]
    assigned: NDArray[np.int64]
    scores: NDArray[np.int32]
    reasons: Ranked


def decide(table: FeatureTable, probabilities: NDArray[np.float32], rules: Rules) -> Decided:
    """Decide every application of `table`.

    Where the bundle has words for values that cannot be used, the matrix is marked with why each one is missing, in
    place, so that the row that is kept is the row that was decided on.
    """
    mark_as_decided(table, rules.explainer, rules.spec)
    assigned = rules.policy.assign(probabilities)
    return Decided(
        rules=rules,
        applications=table.applications,
        ids=list(decision_ids(table.applications, table.matrix, rules.bundle_id)),
        probabilities=probabilities,
        assigned=assigned,
        scores=credit_scores(probabilities[:, 0], rules.spec.scaling),
        reasons=rules.explainer.rank(table.matrix, assigned),
    )


def mark_as_decided(table: FeatureTable, explainer: Explainer, spec: Spec) -> None:
    """Turn a feature matrix, in place, into that of which the ids of decisions are made."""
    if explainer.book.tells_unusable:
        mark_missing(table, spec)


def make_decisions(table: FeatureTable, probabilities: NDArray[np.float32], rules: Rules) -> pl.DataFrame:
    """Put decisions together, one per application of `table`, in its order."""
    return as_frame(decide(table, probabilities, rules))


def as_frame(decided: Decided) -> pl.DataFrame:
    """Lay decisions out in the columns of `decision_schema`."""
    rules, applications = decided.rules, decided.applications
    classes = np.array(rules.policy.classes, dtype=object)[decided.assigned]
    columns = {
        "decision_id": pl.Series(decided.ids, dtype=pl.String),
        "application_id": applications["application_id"],
        "customer_id": applications["customer_id"],
        "as_of": applications["as_of"].cast(pl.Datetime("us", "UTC")),
        **{name: decided.probabilities[:, i] for i, name in enumerate(rules.spec.probability_columns)},
        "credit_class": pl.Series(classes.tolist(), dtype=pl.String),
        "credit_score": decided.scores,
        "reasons": rules.explainer.series(decided.reasons),
        "bundle_id": pl.repeat(rules.bundle_id, applications.height, dtype=pl.String, eager=True),
    }
    return pl.DataFrame(columns, schema=decision_schema(rules.spec))


def flat_reasons(decisions: pl.DataFrame) -> pl.DataFrame:
    """Spread `reasons` over flat columns `reason_1_code`, `reason_1_text`, `reason_1_contribution` ... for CSV.

    `reason_1_weak` is true where nothing spoke against the applicant; only a first reason can be weak. Null: none.
    """
    columns: list[str | pl.Expr] = []
    for name in decisions.columns:
        columns += _flat() if name == "reasons" else [name]
    return decisions.select(columns)


def _flat() -> list[pl.Expr]:
    reasons = [pl.col("reasons").list.get(i, null_on_oob=True) for i in range(MOST_REASONS)]
    parts = [("code", "text", "contribution", "weak"), *[("code", "text", "contribution")] * (MOST_REASONS - 1)]
    return [
        reason.struct.field(part).alias(f"reason_{number}_{part}")
        for number, (reason, names) in enumerate(zip(reasons, parts, strict=True), start=1)
        for part in names
    ]


def decision_lines(decisions: pl.DataFrame) -> list[bytes]:
    """Write one JSON object per decision: numbers in their shortest exact form, instants as RFC 3339 in UTC."""
    texts = decisions.with_columns(pl.col("as_of").dt.strftime(INSTANT_FORMAT))
    return [line.encode() for line in texts.select(pl.struct(pl.all()).struct.json_encode()).to_series()]


def credit_scores(p_worst: NDArray[np.float32], scaling: ScoreScaling) -> NDArray[np.int32]:
    """Return points: base_score + pdo / ln 2 * ln(odds / base_odds), odds (1 - p_worst) : p_worst, rounded and clipped.

    Source: standard scorecard scaling, Siddiqi, Intelligent Credit Scoring (2nd ed., 2017), chapter 10.
    """
    p = p_worst.astype(np.float64)
    with np.errstate(divide="ignore"):
        log_odds = np.log1p(-p) - np.log(p) - np.log(scaling.base_odds)
    points = scaling.base_score + scaling.points_to_double_odds / np.log(2) * log_odds
    result: NDArray[np.int32] = np.clip(np.rint(points), scaling.minimum, scaling.maximum).astype(np.int32)
    return result


def decision_ids(applications: pl.DataFrame, matrix: NDArray[np.float32], bundle_id: str) -> Iterator[str]:
    """SHA-256 over the two ids (each UTF-8 behind its length), `as_of`, the feature row and the bundle id.

    Lengths are uint32, `as_of` int64 microseconds, features float32, all little-endian; the bundle id is its 32 bytes.
    """
    width = matrix.shape[1] * 4
    features = np.ascontiguousarray(matrix, dtype="<f4").tobytes()
    bundle = bytes.fromhex(bundle_id)
    columns = [applications[name].to_list() for name in ("application_id", "customer_id", "as_of")]
    for i, (application, customer, as_of) in enumerate(zip(*columns, strict=True)):
        a, c = application.encode(), customer.encode()
        head = struct.pack(f"<I{len(a)}sI{len(c)}sq", len(a), a, len(c), c, as_of)
        yield hashlib.sha256(head + features[i * width : (i + 1) * width] + bundle).hexdigest()

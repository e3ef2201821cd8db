"""The receipt: one row about one decision, with all that is needed to make it again."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.matrix import list_features
from features.spec.contract import Spec
from scoring.decisions import decision_schema

__all__ = ["CHECK_ID", "FEATURE", "HISTORY", "KIND", "OPTIONAL", "ORIGIN", "SHADOW", "receipts_of"]

FEATURE = "feature:"
CHECK_ID = "check_id"
HEADERS = "headers"  # JSON of those that came with the application
HISTORY = "history"  # JSON of the watermark up to which a history store was seen, where events came from there
KIND = "kind"  # null, or `SHADOW`: of what a challenger would have decided, which nobody was told
SHADOW = "shadow"
OPTIONAL = (HEADERS, HISTORY, KIND)  # the last columns, each where any receipt of a segment has one
ORIGIN = pl.Schema(
    {
        "door": pl.String(),
        "decided_at": pl.Datetime("us", "UTC"),
        "request_id": pl.String(),
        "topic": pl.String(),
        "partition": pl.Int32(),
        "offset": pl.Int64(),
        "input_sha256": pl.String(),
        "row": pl.Int64(),
        "application": pl.String(),
    }
)
_IDENTITY = ("decision_id", "application_id", "customer_id", "as_of", "bundle_id")
_DECISION = ("credit_class", "credit_score", "reasons")


def receipt_schema(spec: Spec) -> pl.Schema:
    """Return the columns of receipts of a spec, in order: identity, origin, application, features, decision, check_id.

    `feature:<name>` are Float32, NaN where missing, in the order of `list_features`. `check_id` is null but where ids
    are stored keyed, see `receipts.pii`.
    """
    decision = decision_schema(spec)
    return pl.Schema(
        {
            **{name: decision[name] for name in _IDENTITY},
            **ORIGIN,
            **{FEATURE + feature.name: pl.Float32() for feature in list_features(spec)},
            **{name: decision[name] for name in (*spec.probability_columns, *_DECISION)},
            CHECK_ID: pl.String(),
        }
    )


def receipts_of(decisions: pl.DataFrame, matrix: NDArray[np.float32], origin: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """Put receipts together: `decisions` and their feature rows (float32, one per decision) as `Scored` has them.

    `origin` has one row per decision and those columns of `ORIGIN` that the door knows, `door` and `decided_at` among
    them; others become null.
    """
    features = pl.DataFrame(
        {FEATURE + feature.name: matrix[:, i] for i, feature in enumerate(list_features(spec))},
        schema_overrides=dict.fromkeys([FEATURE + f.name for f in list_features(spec)], pl.Float32),
    )
    columns = {**ORIGIN, **dict.fromkeys(OPTIONAL, pl.String())}
    known = origin.select(pl.col(name).cast(dtype) for name, dtype in columns.items() if name in origin.columns)
    joined = decisions.hstack(known).hstack(features)
    schema = receipt_schema(spec)
    lacking = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in joined.columns]
    there = [name for name in OPTIONAL if name in origin.columns]
    return joined.with_columns(lacking).select(*schema.names(), *there)


def feature_matrix(receipts: pl.DataFrame) -> NDArray[np.float32]:
    """Return the feature rows of receipts, float32, in the order of the columns, NaN where missing."""
    names = [name for name in receipts.columns if name.startswith(FEATURE)]
    matrix = np.empty((receipts.height, len(names)), dtype=np.float32)
    for i, name in enumerate(names):
        matrix[:, i] = receipts[name].to_numpy()
    return matrix

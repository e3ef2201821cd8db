"""What no door writes, although it has the form of a receipt: who may write receipts could invent it.

A good forgery passes all the same (only replay with the bundle, and the system that asked, can tell), but nothing that
the log could not hold, or that a reader of it would stumble over.
"""

import numpy as np
import polars as pl

from features.applications import identifier_code
from features.cells.instants import FIRST, LAST
from features.spec.contract import Spec
from receipts.frame import feature_matrix
from receipts.line_parts import ReceiptError
from scoring.decisions import credit_scores, decision_ids
from scoring.doors import DOORS
from scoring.reasons import MOST_REASONS

_CONTROL = r"\p{Cc}|\p{Zl}|\p{Zp}"
_SUM_WITHIN = 1e-3
_MOST_TEXT_BYTES = 2_000


def check_receipts(places: list[int], receipts: pl.DataFrame, applications: pl.DataFrame, spec: Spec) -> None:
    """Check that a door could have written these.

    `places` are those of the receipts, `applications` has the ids of the messages that were decided, `spec` is that of
    the bundle.

    Raises:
        ReceiptError: the first one that none writes, with a code.

    """
    ids = {name: applications[name] == receipts[name] for name in ("application_id", "customer_id")}
    wrong = {
        "receipt_instant_unreadable": receipts.select(_outside("decided_at")).to_series(),
        "receipt_source_wrong": receipts.select(_source()).to_series(),
        "receipt_application_wrong": ~(ids["application_id"] & ids["customer_id"]).fill_null(value=False),
        "receipt_decision_wrong": receipts.select(_decision(spec)).to_series() | _misscored(receipts, spec),
    }
    for code, rows in wrong.items():
        if rows.any():
            raise ReceiptError(code, places[rows.arg_true()[0]])


def _outside(instant: str) -> pl.Expr:
    ticks = pl.col(instant).to_physical()
    return (ticks < FIRST) | (ticks >= LAST)


def _source() -> pl.Expr:
    """Each receipt says where its application came from as its door does, and nothing that other doors say."""
    live = [door for door in DOORS.values() if door.live]
    known = {name for door in live for name in door.source.columns}
    good = pl.lit(value=False)
    for door in live:
        own = [pl.col(name).is_not_null() for name in door.source.columns]
        others = [pl.col(name).is_null() for name in sorted(known.difference(door.source.columns))]
        formed = pl.col(door.source.columns[0]).str.contains(door.source.form)
        good |= (pl.col("door") == door.name) & pl.all_horizontal(*own, *others, formed)
    return ~good.fill_null(value=False)


def _decision(spec: Spec) -> pl.Expr:
    names, count = list(spec.probability_columns), pl.col("reasons").list.len()
    shares = [pl.col(name).is_finite() & pl.col(name).is_between(0, 1) for name in names]
    whole = (pl.sum_horizontal(pl.col(name).cast(pl.Float64) for name in names) - 1).abs() <= _SUM_WITHIN
    best = pl.col("credit_class") == spec.best_class
    counted = pl.when(best).then(count == 0).otherwise(count.is_between(1, MOST_REASONS))
    ids = [identifier_code(name).is_null() for name in ("application_id", "customer_id")]
    known = pl.col("credit_class").is_in(list(spec.classes))
    good = pl.all_horizontal(*shares, whole, known, counted, *ids, ~_outside("as_of"), _reasons(count))
    return ~good.fill_null(value=False)


def _reasons(count: pl.Expr) -> pl.Expr:
    """Each reason has words, and a number; only one that stands alone may be weak."""
    reason, texts = pl.element().struct, ("code", "text")
    said = [
        ~reason.field(n).str.contains(_CONTROL) & reason.field(n).str.len_bytes().is_between(1, _MOST_TEXT_BYTES)
        for n in texts
    ]
    weighed = reason.field("contribution").is_finite()
    sound = pl.col("reasons").list.eval(pl.all_horizontal(*said, weighed)).list.all()
    weak = pl.col("reasons").list.eval(reason.field("weak")).list.any()
    return sound & (~weak | (count == 1))


def _misscored(receipts: pl.DataFrame, spec: Spec) -> pl.Series:
    """Where the points are not those of the probabilities, or the id is not that of ids, features and bundle."""
    worst = np.clip(receipts[spec.probability_columns[0]].fill_nan(0).to_numpy().astype(np.float32), 0, 1)
    points = credit_scores(worst, spec.scaling).astype(np.int64)
    apart = np.abs(receipts["credit_score"].to_numpy().astype(np.int64) - points) > 1  # log differs between machines
    ids = receipts.select("application_id", "customer_id", pl.col("as_of").to_physical())
    made = decision_ids(ids, feature_matrix(receipts), str(receipts["bundle_id"][0]))
    other = np.array([a != b for a, b in zip(made, receipts["decision_id"].to_list(), strict=True)], dtype=bool)
    return pl.Series(apart | other)

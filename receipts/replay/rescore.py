"""Make the decisions of receipts again: from the application where a receipt holds it, else from its feature row."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.matrix import FeatureTable, list_features
from features.rejects import APPLICATIONS, rejects_frame
from receipts.frame import CHECK_ID, FEATURE, feature_matrix
from receipts.log.row_hash import reason_bytes
from scoring.decisions import as_frame
from scoring.message import MessageDecoder
from scoring.scorer import Scorer

REFUSED = "application"  # the column that differs where an application is refused that was once decided


@dataclass(frozen=True, slots=True)
class Rescored:
    """Decisions made again for the receipts at `rows` (positions); `features` where they came from applications."""

    rows: NDArray[np.int64]
    decisions: pl.DataFrame
    features: NDArray[np.float32] | None


class Rescorer:
    """Scores receipts again with one bundle, which may be another than theirs."""

    def __init__(self, scorer: Scorer) -> None:
        """Prepare for the spec of the scorer's bundle."""
        self.scorer = scorer
        self._decoder = MessageDecoder(scorer.bundle.spec)
        self._names = [FEATURE + feature.name for feature in list_features(scorer.bundle.spec)]

    def from_applications(self, receipts: pl.DataFrame, events: pl.DataFrame | None = None) -> Rescored:
        """Score applications with their events, through the same decoder and `Scorer` as every door.

        `events`: a table of all customers' events, in the place of those that the receipts hold. Rows are missing where
        the spec refuses the application.
        """
        decoded = self._decoder.decode([text.encode() for text in receipts["application"]])
        scored = self.scorer.score(decoded.applications, decoded.events if events is None else events)
        rejected = set(scored.rejects.filter(pl.col("table") == APPLICATIONS)["row"])
        rows = [i for i, place in enumerate(decoded.places) if isinstance(place, int) and place + 1 not in rejected]
        return Rescored(np.array(rows, dtype=np.int64), scored.decisions, scored.features)

    def from_features(self, receipts: pl.DataFrame) -> Rescored:
        """Score feature rows: model, policy and reasons. Rows are missing where the bundle has other features."""
        if [name for name in receipts.columns if name.startswith(FEATURE)] != self._names:
            return Rescored(np.empty(0, dtype=np.int64), pl.DataFrame(), None)
        ids = receipts.select("application_id", "customer_id", pl.col("as_of").to_physical())
        table = FeatureTable(ids, feature_matrix(receipts), rejects_frame(), [])
        return Rescored(np.arange(receipts.height), as_frame(self.scorer.decide_on(table)), None)


def differences(receipts: pl.DataFrame, made: Rescored) -> dict[str, NDArray[np.int64]]:
    """Return the positions of receipts that differ from what was made again, by column, as bits; none are left out."""
    missing = np.setdiff1d(np.arange(receipts.height), made.rows)
    found = {REFUSED: missing} if len(missing) else {}
    if not len(made.rows):
        return found
    kept = receipts[made.rows]
    pairs = {name: (kept[name], made.decisions[name]) for name in made.decisions.columns}
    pairs["decision_id"] = (kept.select(pl.coalesce(CHECK_ID, "decision_id")).to_series(), pairs["decision_id"][1])
    names = [name for name in receipts.columns if name.startswith(FEATURE)]
    if made.features is not None:
        pairs |= {name: (kept[name], pl.Series(made.features[:, i])) for i, name in enumerate(names)}
    for name, (stored, again) in pairs.items():
        differ = np.flatnonzero(_differ(stored, again))
        if len(differ):
            found[name] = made.rows[differ]
    return found


def _differ(stored: pl.Series, again: pl.Series) -> NDArray[np.bool_]:
    if stored.name == "reasons":
        return np.asarray((reason_bytes(stored) != reason_bytes(again)).any(axis=1))
    if stored.dtype == pl.Float32:
        return np.asarray(stored.to_numpy().view(np.uint32) != again.to_numpy().view(np.uint32))
    return stored.ne_missing(again).to_numpy()

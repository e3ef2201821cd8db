"""The message: one application with its events as JSON bytes in, one decision as JSON bytes, or a refusal, out.

Stream and REST share this, so that they cannot disagree; what they add is transport.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InputError
from features.matrix import FeatureTable
from features.rejects import APPLICATIONS
from scoring.decisions import Decided
from scoring.lines import write_lines
from scoring.message_decoder import Decoded, MessageDecoder, Refusal, escape
from scoring.scorer import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of one message: a decision as one line of UTF-8 JSON with its class, or a refusal.

    `features`: the row that was scored, float32 little-endian in the order of `list_features`; a receipt keeps it.
    """

    decision: bytes | None = None
    features: bytes | None = None
    credit_class: str | None = None
    refusal: Refusal | None = None


Observe = Callable[[Decided, FeatureTable], None]


class MessageScorer:
    """Scores messages with a `Scorer`. No I/O, no clock, no state; safe to share between threads."""

    def __init__(self, scorer: Scorer, observe: Observe | None = None) -> None:
        """Prepare the decoder for the spec of the scorer's bundle. `observe` is shown whatever is scored."""
        self.scorer = scorer
        self._observe = observe
        self._decoder = MessageDecoder(scorer.bundle.spec)

    def answer(self, messages: Sequence[bytes]) -> list[Answer]:
        """Return one answer per message, in order. Nothing in a message can raise."""
        try:
            return self._answer(self._decoder.decode(messages))
        except InputError:  # one message has more events than can be summed; it must not spoil the others
            if len(messages) == 1:
                return [Answer(refusal=Refusal.of("events_too_many", "/events"))]
            return [answer for message in messages for answer in self.answer([message])]

    def _answer(self, decoded: Decoded) -> list[Answer]:
        decided, table = self.scorer.decide_carried(decoded.carried)
        if self._observe is not None:
            self._observe(decided, table)
        refusals = _refusals(table.rejects, decoded.carried.counts)
        classes = [decided.rules.policy.classes[index] for index in decided.assigned.tolist()]
        decisions = zip(write_lines(decided), classes, feature_rows(table.matrix), strict=True)
        rows = range(1, len(decoded.carried.counts) + 1)
        answers = [refusals.get(row) or _decided(*next(decisions)) for row in rows]
        return [Answer(refusal=p) if isinstance(p, Refusal) else answers[p] for p in decoded.places]


def _refusals(rejects: pl.DataFrame, counts: list[int]) -> dict[int, Answer]:
    """Return the refusal of each rejected row; `counts` says how many events each row has."""
    if rejects.is_empty():
        return {}
    refused = rejects.filter(pl.col("table") == APPLICATIONS)
    starts = (np.cumsum(counts) - counts)[refused["row"].to_numpy() - 1]
    return {
        reject["row"]: Answer(refusal=Refusal.of(reject["code"], _pointer(reject, int(start))))
        for reject, start in zip(refused.to_dicts(), starts, strict=True)
    }


def _decided(line: bytes, credit_class: str, features: bytes) -> Answer:
    return Answer(decision=line, credit_class=credit_class, features=features)


def feature_rows(matrix: NDArray[np.float32]) -> list[bytes]:
    """Return each row as float32 little-endian bytes."""
    width, whole = 4 * matrix.shape[1], np.ascontiguousarray(matrix, dtype="<f4").tobytes()
    return [whole[start : start + width] for start in range(0, width * matrix.shape[0], width)]


def _pointer(reject: dict[str, Any], first_event: int) -> str:
    """Point at the field: `/as_of`, `/attributes/months_employed`, `/events/3/amount`."""
    column = reject["column"]
    if reject["event_row"] is not None:
        return f"/events/{reject['event_row'] - 1 - first_event}/{column.removeprefix('events.')}"
    return f"/{column}" if column in ("application_id", "customer_id", "as_of") else f"/attributes/{escape(column)}"

"""The message: one application with its events as JSON bytes in, one decision as JSON bytes, or a refusal, out.

Stream and REST share this, so that they cannot disagree; what they add is transport.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InputError
from features.matrix import FeatureTable
from features.rejects import APPLICATIONS, rejects_frame
from scoring.decisions import Decided
from scoring.message.decision_lines import write_lines
from scoring.message.decoder import Decoded, MessageDecoder, Refusal, escape
from scoring.message.found_histories import Found, LookUp, Used
from scoring.scorer import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of one message: a decision as one line of UTF-8 JSON with its class, or a refusal.

    `features`: the row that was scored, float32 little-endian in the order of `list_features`; a receipt keeps it.
    `history`: what it has seen in a history store; None where the message carries its events. `bundle_id`: of the
    bundle that decided.
    """

    decision: bytes | None = None
    features: bytes | None = None
    credit_class: str | None = None
    refusal: Refusal | None = None
    history: Used | None = None
    bundle_id: str = ""


class _Given(msgspec.Struct, gc=False):
    """Of which application a decision is."""

    application_id: str
    customer_id: str
    as_of: str


_given = msgspec.json.Decoder(_Given).decode
Observe = Callable[[Decided, FeatureTable], None]


class MessageScorer:
    """Scores messages with a `Scorer`. No I/O, no clock, no state; safe to share between threads."""

    def __init__(self, scorer: Scorer, observe: Observe | None = None, look_up: LookUp | None = None) -> None:
        """Prepare the decoder for the spec of the scorer's bundle. `observe` is shown whatever is scored.

        `look_up`: asks a history store for the events that messages lack; None: each message must carry them.
        """
        self.scorer = scorer
        self._observe, self._look_up = observe, look_up
        self._decoder = MessageDecoder(scorer.bundle.spec, history=look_up is not None)

    def answer(self, messages: Sequence[bytes], at: bytes | None = None) -> list[Answer]:
        """Return one answer per message, in order. Nothing in a message can raise.

        `at`: the watermark of an earlier decision, where a message is decided again on what that one saw.
        """
        decoded = self._decoder.decode(messages)
        lacking = [replace(one, at=at) for one in decoded.lacking] if at is not None else decoded.lacking
        found = self._look_up(lacking) if self._look_up is not None and lacking else None
        if found is not None and found.refusals:
            return self._answer_others(messages, decoded.places, found.refusals, at)
        try:
            return self._answer(decoded, found)
        except InputError:  # one message has more events than can be summed; it must not spoil the others
            if len(messages) == 1:
                return [Answer(refusal=Refusal.of("events_too_many", "/events"))]
            return [answer for message in messages for answer in self.answer([message], at)]

    def answer_again(self, answers: Sequence[Answer]) -> list[Answer]:
        """Decide what another bundle has decided, on its feature rows, which must be those of this one, too."""
        given = [_given(answer.decision or b"") for answer in answers]
        ids = pl.DataFrame(
            {
                "application_id": [one.application_id for one in given],
                "customer_id": [one.customer_id for one in given],
                "as_of": np.array([one.as_of.rstrip("Z") for one in given], "M8[us]").astype(np.int64),
            }
        )
        rows = np.frombuffer(b"".join(answer.features or b"" for answer in answers), dtype="<f4")
        table = FeatureTable(ids, rows.reshape(len(given), -1), rejects_frame(), [])
        decided = self.scorer.decide_on(table)
        classes = [decided.rules.policy.classes[index] for index in decided.assigned.tolist()]
        made = zip(write_lines(decided), classes, answers, strict=True)
        by = decided.rules.bundle_id
        return [_decided(line, name, old.features or b"", old.history, by) for line, name, old in made]

    def _answer_others(
        self,
        messages: Sequence[bytes],
        places: Sequence[int | Refusal],
        refusals: Mapping[int, Refusal],
        at: bytes | None,
    ) -> list[Answer]:
        """Refuse those for which the store has no answer; the others as if these were not there."""
        refused = [None if isinstance(place, Refusal) else refusals.get(place) for place in places]
        others = iter(self.answer([m for m, refusal in zip(messages, refused, strict=True) if refusal is None], at))
        return [next(others) if refusal is None else Answer(refusal=refusal) for refusal in refused]

    def _answer(self, decoded: Decoded, found: Found | None) -> list[Answer]:
        carried, used = decoded.carried, {} if found is None else found.used
        if found is not None:
            carried = replace(carried, stored=found.stored)
        decided, table = self.scorer.decide_carried(carried)
        if self._observe is not None:
            self._observe(decided, table)
        refusals = _refusals(table.rejects, decoded.carried.counts)
        classes = [decided.rules.policy.classes[index] for index in decided.assigned.tolist()]
        decisions = zip(write_lines(decided), classes, feature_rows(table.matrix), strict=True)
        rows = range(1, len(decoded.carried.counts) + 1)
        by = decided.rules.bundle_id
        answers = [refusals.get(row) or _decided(*next(decisions), used.get(row - 1), by) for row in rows]
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


def _decided(line: bytes, credit_class: str, features: bytes, history: Used | None, bundle_id: str) -> Answer:
    return Answer(decision=line, credit_class=credit_class, features=features, history=history, bundle_id=bundle_id)


def feature_rows(matrix: NDArray[np.float32]) -> list[bytes]:
    """Return each row as float32 little-endian bytes."""
    width, whole = 4 * matrix.shape[1], np.ascontiguousarray(matrix, dtype="<f4").tobytes()
    return [whole[start : start + width] for start in range(0, width * matrix.shape[0], width)]


def _pointer(reject: dict[str, Any], first_event: int) -> str:
    """Point at the field: `/as_of`, `/attributes/months_employed`, `/events/3/amount`."""
    column = reject["column"]
    if reject["event_row"] is not None:
        return f"/events/{reject['event_row'] - 1 - first_event}/{column.removeprefix('events.')}"
    if column.startswith("events."):  # of the store
        return "/events"
    return f"/{column}" if column in ("application_id", "customer_id", "as_of") else f"/attributes/{escape(column)}"

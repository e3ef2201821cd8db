"""Decisions on what a history store holds: waiting while it is behind, and again on what an earlier one saw."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from features.errors import DeliveryError
from scoring.message import Answer, MessageScorer, Used
from stream.client.errors import PersonNeededError
from stream.client.records import Batch, Message

WATERMARK = "history_watermark"  # the header of a decision and its receipt
_AGAIN_S = 0.2


class _Receipt(msgspec.Struct, gc=False):
    application: msgspec.Raw


_receipt = msgspec.json.Decoder(_Receipt).decode


class FromStore:
    """Answers of a scorer that looks events up."""

    def __init__(self, scorer: MessageScorer, patience_s: float, stopping: Callable[[], bool]) -> None:
        """`patience_s`: how long a batch waits for a store that is behind."""
        self._scorer, self._patience_s, self._stopping = scorer, patience_s, stopping

    def answer(self, messages: Sequence[bytes]) -> list[Answer]:
        """Answer, once the store is not behind.

        Raises:
            DeliveryError: it still is; nothing was decided.

        """
        until = time.monotonic() + self._patience_s
        answers = self._scorer.answer(messages)
        while any(map(_is_behind, answers)):
            if self._stopping() or time.monotonic() > until:
                raise DeliveryError(
                    "the history store is behind: nothing fills it, or it cannot be read. Look after `credit history "
                    "consume`, then start again; nothing was decided."
                )
            time.sleep(_AGAIN_S)
            answers = self._scorer.answer(messages)
        return answers

    def before(self, bodies: Sequence[bytes], decisions: Sequence[Message]) -> list[Answer | None]:
        """Decide again what earlier decisions saw; None where another comes out, or that is not known any more.

        So nobody who writes to the topic of decisions can have one made that was not made before.
        """
        marks = [dict(decision.headers).get(WATERMARK) for decision in decisions]
        found: list[Answer | None] = [None] * len(bodies)
        for mark in {mark for mark in marks if mark}:
            places = [i for i, own in enumerate(marks) if own == mark]
            answers = self._scorer.answer([bodies[i] for i in places], mark)
            for i, answer in zip(places, answers, strict=True):
                found[i] = answer if answer.refusal is None and answer.decision == decisions[i].value else None
        return found

    def again(self, body: bytes, half: Message) -> Answer | None:
        """Decide again what `half`, its decision or its receipt, was decided on; None if that carried its events.

        Raises:
            PersonNeededError: the store no longer holds that, since events expired or were erased.

        """
        watermark = dict(half.headers).get(WATERMARK)
        if not watermark:
            return None
        (answer,) = self._scorer.answer([body], watermark)
        if answer.refusal is None:
            return answer
        try:
            kept = _receipt(half.value or b"").application
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise PersonNeededError(
                f"{half.topic} partition {half.partition} offset {half.offset}: the receipt of this decision is lost, "
                "and the history store no longer holds what it was decided on. Restore a copy of the store from "
                "before, or set the group's offset behind the message with kafka-consumer-groups --reset-offsets."
            ) from None
        (carried,) = self._scorer.answer([bytes(kept)])
        return replace(carried, history=Used(watermark, lambda: b"[]"))  # the receipt is there already


def _is_behind(answer: Answer) -> bool:
    """Return whether the store as a whole is behind, not only for one message that names an event."""
    return answer.refusal is not None and answer.refusal.code == "history_behind" and not answer.refusal.pointer


class Before(Protocol):
    """What decides messages again on what was seen once; see `FromStore`."""

    def before(self, bodies: Sequence[bytes], decisions: Sequence[Message]) -> list[Answer | None]:
        """Decide again what earlier decisions saw."""

    def again(self, body: bytes, half: Message) -> Answer | None:
        """Decide again what the other half of a decision saw."""


def as_before(
    batch: Batch, answers: list[Answer], history: Before | None, body: Callable[[bytes], bytes]
) -> list[Answer]:
    """Replace the answers to messages that were decided before, or in half, by what was decided then."""
    if history is None or not (batch.halves or batch.before):
        return answers
    texts = {m.place: body(m.value or b"") for m in batch.messages}
    earlier = {place: record for place, record in batch.before.items() if place in texts.keys() - batch.halves.keys()}
    again = history.before([texts[place] for place in earlier], list(earlier.values()))
    found = dict(zip(earlier, again, strict=True))
    found |= {place: history.again(texts[place], half) for place, half in batch.halves.items() if place in texts}
    return [found.get(m.place) or answer for m, answer in zip(batch.messages, answers, strict=True)]

"""Decisions on what a history store holds: waiting while it is behind, and again on what an earlier one saw."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from features.errors import DeliveryError
from scoring.message import Answer, MessageScorer, Used, read_watermark
from stream.client.errors import PersonNeededError
from stream.client.records import Batch, Message

WATERMARK = "history_watermark"  # the header of a decision and its receipt
_AGAIN_S = 0.2
Kept = Callable[[Sequence[Message]], Sequence[Message | None]]  # the receipt of each of these decisions


class _Application(msgspec.Struct, gc=False):
    events: msgspec.Raw = msgspec.Raw(b"[]")


class _Receipt(msgspec.Struct, gc=False):
    application: msgspec.Raw


_receipt = msgspec.json.Decoder(_Receipt).decode
_application = msgspec.json.Decoder(_Application).decode
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError)
_GO_ON = (
    "Restore a copy of the store from before; or set the group's offset behind the message with kafka-consumer-groups "
    "--reset-offsets."
)


class FromStore:
    """Answers of a scorer that looks events up."""

    def __init__(self, scorer: MessageScorer, patience_s: float, stopping: Callable[[], bool]) -> None:
        """`patience_s`: how long a batch waits for a store that is behind."""
        self._scorer, self._patience_s, self._stopping = scorer, patience_s, stopping
        self._bundle_id = scorer.scorer.bundle.bundle_id.encode()

    def answer(self, messages: Sequence[bytes], at: bytes | None = None) -> list[Answer]:
        """Answer, once the store is not behind. `at`: the watermark of an earlier decision.

        Raises:
            DeliveryError: it still is; nothing was decided.

        """
        until = time.monotonic() + self._patience_s
        answers = self._scorer.answer(messages, at)
        while any(map(_is_behind, answers)):
            if self._stopping() or time.monotonic() > until:
                raise DeliveryError(
                    "the history store is behind: nothing fills it, or it cannot be read. Look after `credit history "
                    "consume`, then start again; nothing was decided."
                )
            time.sleep(_AGAIN_S)
            answers = self._scorer.answer(messages, at)
        return answers

    def before(self, bodies: Sequence[bytes], decisions: Sequence[Message], kept: Kept) -> list[Answer | None]:
        """Decide again what earlier decisions of this bundle saw; None where another comes out.

        So nobody who writes to the topic of decisions can have one made that was not made before. `kept` finds the
        receipts of decisions, which tell what was seen where the store no longer does.

        Raises:
            PersonNeededError: neither does.

        """
        watermarks = [self._watermark(decision) for decision in decisions]
        found: list[Answer | None] = [None] * len(bodies)
        lost = []
        for watermark in {watermark for watermark in watermarks if watermark}:
            places = [i for i, own in enumerate(watermarks) if own == watermark]
            answers = self.answer([bodies[i] for i in places], watermark)
            for i, answer in zip(places, answers, strict=True):
                found[i] = answer if answer.decision == decisions[i].value else None
                lost += [i] if answer.refusal is not None else []
        receipts = kept([decisions[i] for i in lost]) if lost else []
        for i, receipt in zip(lost, receipts, strict=True):
            found[i] = self._as_kept(decisions[i], receipt, watermarks[i])
        return found

    def _watermark(self, decision: Message) -> bytes:
        return _watermark(decision) if dict(decision.headers).get("bundle_id") == self._bundle_id else b""

    def _as_kept(self, decision: Message, receipt: Message | None, watermark: bytes) -> Answer:
        answer = None if receipt is None else self._from_receipt(receipt, watermark)
        if answer is None or answer.decision != decision.value:
            raise PersonNeededError(
                f"{decision.topic} partition {decision.partition} offset {decision.offset}: the history store no "
                "longer holds what this decision saw, since events expired or were erased, or it is another store; and "
                f"no receipt of the decision is left. Its message would now be decided otherwise. {_GO_ON}"
            )
        return answer

    def _from_receipt(self, receipt: Message, watermark: bytes) -> Answer | None:
        """Decide again on the events that a receipt holds; None where it is none."""
        try:
            application = _receipt(receipt.value or b"").application
            events = bytes(_application(application).events)
        except _BROKEN:
            return None
        (answer,) = self._scorer.answer([bytes(application)])
        return replace(answer, history=Used(watermark, lambda: events))

    def again(self, body: bytes, half: Message) -> Answer | None:
        """Decide again what `half`, its decision or its receipt, was decided on; None if that carried its events.

        Raises:
            PersonNeededError: the store no longer holds that, since events expired or were erased.

        """
        watermark = _watermark(half)
        if not watermark:
            return None
        (answer,) = self.answer([body], watermark)
        if answer.refusal is None:
            return answer
        carried = self._from_receipt(half, watermark)
        if carried is None:
            raise PersonNeededError(
                f"{half.topic} partition {half.partition} offset {half.offset}: the receipt of this decision is lost, "
                f"and the history store no longer holds what it was decided on. {_GO_ON}"
            )
        return carried


def _watermark(record: Message) -> bytes:
    """Return the watermark of a decision or receipt; empty where it has none, or what somebody else put there."""
    watermark = dict(record.headers).get(WATERMARK) or b""
    try:
        read_watermark(watermark)
    except _BROKEN:
        return b""
    return watermark


def _is_behind(answer: Answer) -> bool:
    """Return whether the store as a whole is behind, not only for one message that names an event."""
    return answer.refusal is not None and answer.refusal.code == "history_behind" and not answer.refusal.pointer


class Before(Protocol):
    """What decides messages again on what was seen once; see `FromStore`."""

    def before(self, bodies: Sequence[bytes], decisions: Sequence[Message], kept: Kept) -> list[Answer | None]:
        """Decide again what earlier decisions saw."""

    def again(self, body: bytes, half: Message) -> Answer | None:
        """Decide again what the other half of a decision saw."""


@dataclass(frozen=True, slots=True)
class Redecided:
    """What a worker needs to decide messages as they were decided before: how, and where receipts of then are."""

    history: Before
    kept: Kept


def as_before(
    batch: Batch, answers: list[Answer], redecided: Redecided | None, body: Callable[[bytes], bytes]
) -> list[Answer]:
    """Replace the answers to messages that were decided before, or in half, by what was decided then."""
    if redecided is None or not (batch.halves or batch.before):
        return answers
    history, texts = redecided.history, {m.place: body(m.value or b"") for m in batch.messages}
    earlier = {place: record for place, record in batch.before.items() if place in texts.keys() - batch.halves.keys()}
    again = history.before([texts[place] for place in earlier], list(earlier.values()), redecided.kept)
    found = dict(zip(earlier, again, strict=True))
    found |= {place: history.again(texts[place], half) for place, half in batch.halves.items() if place in texts}
    return [found.get(m.place) or answer for m, answer in zip(batch.messages, answers, strict=True)]

"""Answers to messages, also where the program itself fails on one: that message must not hold up its partition."""

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polars.exceptions import PanicException, PolarsError

from monitoring.live import Live
from scoring.message import Answer, Refusal
from serving.challengers import Shadows
from stream.client.records import Message
from stream.history.histories import Before

__all__ = ["AnswerMessages", "InService"]

log = logging.getLogger(__name__)

AnswerMessages = Callable[[Sequence[bytes]], list[Answer]]
Body = Callable[[bytes], bytes]
Challenge = Callable[[Sequence[bytes], Sequence[Answer], float], list[Shadows]]  # given what took so many seconds


@dataclass(frozen=True, slots=True)
class InService:
    """What belongs to one bundle: what answers messages by it, and what watches its decisions.

    `history` decides messages again on what was seen once, `behind` tells whether the history store is behind,
    `challenge` has challengers decide as well; None: there is none.
    """

    bundle_id: str
    answer: AnswerMessages
    live: Live | None = None
    history: Before | None = None
    behind: Callable[[], bool] | None = None
    challenge: Challenge | None = None


TOMBSTONE = Answer(refusal=Refusal.of("message_tombstone"))
FAULT = Refusal(
    code="fault",
    pointer="",
    expected="a message on which this version does not fail; the worker's log says where it failed. Please report it, "
    "and send the message back (redrive) once a version is deployed that can score it",
)


def plain(value: bytes) -> bytes:
    """Return a value that is the body itself."""
    return value


_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def answer_all(answer: AnswerMessages, messages: Sequence[Message], body: Body = plain) -> list[Answer]:
    """Return one answer for each message, in order. A message on which `answer` fails is refused with the code `fault`.

    It is found by halving; the others are answered as if it were not there. `body`: what a message's value holds.
    """
    answers = _answered(answer, messages, body)
    return [TOMBSTONE if m.value is None else a for m, a in zip(messages, answers, strict=True)]


def _answered(answer: AnswerMessages, messages: Sequence[Message], body: Body) -> list[Answer]:
    try:
        return answer([body(m.value or b"") for m in messages])
    except (*_FAULTS, PolarsError, PanicException) as error:
        if len(messages) > 1:
            middle = len(messages) // 2
            return _answered(answer, messages[:middle], body) + _answered(answer, messages[middle:], body)
        _report(messages[0], error)
        return [Answer(refusal=FAULT)]


def _report(message: Message, error: BaseException) -> None:
    """Say where it failed, without the error's text, which may hold a value of the message."""
    steps = traceback.extract_tb(error.__traceback__)[-3:]
    log.error(
        "%s partition %s offset %s: %s at %s; it becomes a dead letter with the code fault",
        *(message.topic, message.partition, message.offset, type(error).__name__),
        " < ".join(f"{step.filename}:{step.lineno}" for step in reversed(steps)),
    )

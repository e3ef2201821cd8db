"""The message: one application with its events as JSON bytes in, one decision as JSON bytes, or a refusal, out.

Stream and REST share this, so that they cannot disagree; what they add is transport.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scoring.scorer import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a message was not scored: a code of the closed list, where (RFC 6901), and what was expected; no value."""

    code: str
    pointer: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of one message: a decision as one line of UTF-8 JSON with its class, or a refusal."""

    decision: bytes | None = None
    credit_class: str | None = None
    refusal: Refusal | None = None


class MessageScorer:
    """Scores messages with a `Scorer`. No I/O, no clock, no state; safe to share between threads."""

    def __init__(self, scorer: Scorer) -> None:
        """Prepare the decoder for the spec of the scorer's bundle."""
        self.scorer = scorer

    def answer(self, messages: Sequence[bytes]) -> list[Answer]:
        """Return one answer per message, in order. Nothing in a message can raise."""
        raise NotImplementedError

"""Errors of the broker, by what to do next, and how the client's errors become them."""

from typing import ClassVar, Protocol

from features.errors import DeliveryError, RejectLimitError

RESET_OFFSETS = (
    "To go on, decide where, with all workers of the group stopped: start once with --missing-offsets earliest, which "
    "begins at the first message that is still there (and may decide again what was decided, under the same "
    "decision_id), or set the group's offsets with Kafka's kafka-consumer-groups --reset-offsets."
)

HANGING = (
    "A transaction was begun and not ended for longer than this worker waits; nothing was decided meanwhile. If a "
    "worker that is gone left it open, start that one again, which ends it; or use Kafka's kafka-transactions.sh."
)


class RetriableError(DeliveryError):
    """The same call may be made again: nothing is known to have gone wrong for good."""


class FatalError(DeliveryError):
    """The transaction cannot be committed any more, or the producer was fenced: discard it and make a new one."""


class OffsetGoneError(DeliveryError):
    """The next offset to read is not there any more (or not yet again): going on would jump over messages."""


class CircuitOpenError(RejectLimitError):
    """So many messages were refused that a producer's release went wrong; nothing of the batch was committed."""

    exit_code: ClassVar[int] = 6


class ClientError(Protocol):
    """What the client library says of an error."""

    def name(self) -> str:
        """Return the error's constant name."""

    def str(self) -> str:
        """Return the error's text."""

    def fatal(self) -> bool:
        """Return whether the client is of no use any more."""

    def retriable(self) -> bool:
        """Return whether the same call may be made again."""

    def txn_requires_abort(self) -> bool:
        """Return whether the transaction must be aborted."""


_FATAL = {"_FENCED", "_FATAL"}
_AGAIN = {"_TIMED_OUT", "_TRANSPORT", "_ALL_BROKERS_DOWN", "_WAIT_COORD", "UNSTABLE_OFFSET_COMMIT"}


def translated(error: ClientError, doing: str) -> DeliveryError:
    """Return the error of ours that says what to do next."""
    text = f"{doing}: {error.name()} ({error.str()})"
    if error.fatal() or error.name() in _FATAL or error.txn_requires_abort():
        return FatalError(text)
    return RetriableError(text) if error.retriable() or error.name() in _AGAIN else DeliveryError(text)

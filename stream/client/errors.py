"""Errors of the broker, by what to do next, and how the client's errors become them."""

from typing import ClassVar, Protocol

from features.errors import DeliveryError, RejectLimitError, SettingsError
from stream.client.error_table import FOR_EVER, HEALS, REPLACE

__all__ = ["no_topic"]

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


class PersonNeededError(DeliveryError):
    """Starting again would end in the same way: a person must decide first."""

    exit_code: ClassVar[int] = 9


class MembershipEndedError(PersonNeededError):
    """The client's membership in its group ended for good: it goes on without a word, and reads nothing any more."""


class ProtocolRefusedError(MembershipEndedError):
    """The brokers know the group protocol of this client, and have it switched off."""


class OffsetGoneError(PersonNeededError):
    """The next offset to read is not there any more (or not yet again): going on would jump over messages."""


class UnreadableError(PersonNeededError):
    """A batch in the topic cannot be unpacked within the client's limits."""

    def __init__(self, where: str) -> None:
        """`where`: partition, offset, and what the client says."""
        super().__init__(
            f"{where}. A batch of messages there unfolds to more than the client allows (receive.message.max.bytes, "
            "100 MB by default), or is damaged. Read it with --client receive.message.max.bytes=1000000000, which "
            "takes as much memory; or pass over it: with all workers stopped, set the group's offset of this partition "
            "behind it with Kafka's kafka-consumer-groups --reset-offsets. Limit what a producer may send, see "
            "docs/who-may-write.md."
        )


class CircuitOpenError(RejectLimitError):
    """So many messages were refused that a producer's release went wrong; nothing of the batch was committed."""

    exit_code: ClassVar[int] = 6


def no_topic(topic: str) -> SettingsError:
    """Return the error for a topic that brokers do not show."""
    return SettingsError(
        f"topic {topic} does not exist, or this client may not see it (the right to describe it). Check --brokers and "
        "the name, or create it, for example with `credit stream topics`."
    )


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


class OpenTransactionError(RetriableError):
    """A transaction that is open now may still change what is asked for."""


class LackingError(RetriableError):
    """A topic that is written to does not have the partition yet."""


def refused(error: ClientError) -> bool:
    """Return whether a broker refuses this client for ever: its login, or one of the two does not trust the other.

    A token that could not be fetched is no such refusal: whoever gives tokens may be away.
    """
    text = error.str()
    login = error.name() == "_AUTHENTICATION" and "acquire" not in text
    return login or (error.name() == "_SSL" and "certificate" in text)


def ended_for_good(error: ClientError) -> bool:
    """Return whether a client is of no use any more: a consumer's says so by its name alone, a producer's by a mark."""
    return error.fatal() or error.name() == "_FATAL"


def translated(error: ClientError, doing: str) -> DeliveryError:
    """Return the error of ours that says what to do next; see `stream.client.error_table`."""
    name, text = error.name(), f"{doing}: {error.name()} ({error.str()})"
    if name in FOR_EVER:
        return PersonNeededError(text)
    if ended_for_good(error) or name in REPLACE or error.txn_requires_abort():
        return FatalError(text)
    if name == "UNSTABLE_OFFSET_COMMIT":
        return OpenTransactionError(text)
    return RetriableError(text) if error.retriable() or name in HEALS else DeliveryError(text)

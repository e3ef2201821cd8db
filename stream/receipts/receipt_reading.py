"""Records of the topic of receipts as frames for the log, and what becomes of those that are none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from features.errors import BundleError, InputError, SettingsError
from features.spec.contract import Spec
from receipts.line_parts import ReceiptError
from receipts.lines import MissingBundleError, receipt_frames
from receipts.pii import Pseudonymiser
from scoring.message import Refusal
from stream.client.client import Config
from stream.client.cluster import Admin
from stream.client.producer import RecordProducer
from stream.client.records import Message
from stream.dead_letters import dead_letter
from stream.settings.client_settings import producer_config
from stream.start import check_topics

_MOST_NAMED = 20
_ARRIVE_S = 30.0

Frames = list[tuple[str, pl.DataFrame]]


class Aside:
    """A topic for records that are no receipts, as they came, with a code: each at least once."""

    def __init__(self, connection: Config, source: str, topic: str, group: str) -> None:
        """Connect.

        Raises:
            SettingsError: the topic is missing, or has other partitions than the receipts.
            DeliveryError: the brokers do not answer.

        """
        cluster = Admin(connection).cluster(source, topic)
        if topic == source or not cluster.partitions.get(topic):
            raise SettingsError(f"--dead-letters {topic}: expected a topic that exists, and other than {source}.")
        check_topics(cluster, source, topic)
        self.topic, self._group = topic, group
        self._producer = RecordProducer(producer_config(connection))

    def take(self, wrong: Sequence[tuple[Message, ReceiptError]]) -> None:
        """Write them; when this returns they have arrived."""
        records = [
            dead_letter(m, Refusal(code=e.code, pointer="", expected=str(e)), self.topic, self._group) for m, e in wrong
        ]
        self._producer.send(records)
        self._producer.flush(_ARRIVE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptReading:
    """How records become frames. `skip`: places (partition, offset) that are passed over.

    `aside` takes the records that are no receipts; without it they stop the log.
    """

    spec_of: Callable[[str], Spec]
    pii_key: bytes | None = None
    skip: frozenset[tuple[int, int]] = frozenset()
    aside: Aside | None = None

    def frames(self, messages: Sequence[Message]) -> Frames:
        """Return a frame for each bundle, by its id.

        Raises:
            InputError: records are no receipts; names each place.
            BundleError: a bundle is not there; names the place of the first receipt of it.
            DeliveryError: what is put aside does not arrive.

        """
        kept = [m for m in messages if m.place not in self.skip]
        try:
            read = self._read(kept)
        except ReceiptError:
            wrong = self._wrong(kept)
            if self.aside is None:
                raise InputError(_stopped(wrong)) from None
            self.aside.take(wrong)
            places = {m.place for m, _ in wrong}
            read = self._read([m for m in kept if m.place not in places])
        return [(bundle_id, Pseudonymiser(self.spec_of(bundle_id), self.pii_key).frame(f)) for bundle_id, f in read]

    def _read(self, messages: Sequence[Message]) -> Frames:
        try:
            return receipt_frames([m.value or b"" for m in messages], self.spec_of, door="stream")
        except MissingBundleError as error:
            at = messages[error.place]
            raise BundleError(
                f"{_place(at)}: {error} Nothing of it was sealed, nor what came with it. If it is no receipt of yours, "
                f"pass over it with --skip {at.partition}:{at.offset}."
            ) from error

    def _wrong(self, messages: Sequence[Message]) -> list[tuple[Message, ReceiptError]]:
        """Find those that are no receipts, by halving."""
        try:
            self._read(messages)
        except ReceiptError as error:
            if len(messages) == 1:
                return [(messages[0], error)]
            middle = len(messages) // 2
            return self._wrong(messages[:middle]) + self._wrong(messages[middle:])
        return []


def _place(message: Message) -> str:
    return f"{message.topic} partition {message.partition} offset {message.offset}"


def _stopped(wrong: Sequence[tuple[Message, ReceiptError]]) -> str:
    said = "; ".join(f"{_place(m)}: {error}" for m, error in wrong[:3])
    skips = " ".join(f"--skip {m.partition}:{m.offset}" for m, _ in wrong[:_MOST_NAMED])
    return (
        f"{said}. {len(wrong)} of the records in hand are no receipts; nothing of them was sealed, nor what came with "
        f"them. Find out who wrote them (docs/who-may-write.md). Then pass over them with {skips}"
        f"{' and so on' if len(wrong) > _MOST_NAMED else ''}, or have all such records put aside with "
        "--dead-letters TOPIC."
    )

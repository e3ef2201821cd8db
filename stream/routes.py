"""Where the records of a batch go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from features.carried_headers import MOST_BYTES, MOST_NAMES, text_of
from features.errors import BundleError
from receipts.frame import KIND, SHADOW
from receipts.lines import is_receipt_of, line_head, line_source, receipt_parts
from scoring.message import Answer
from serving.challengers import Shadows
from stream.answers import Body, plain
from stream.client.records import Batch, Headers, Message, Record
from stream.dead_letters import dead_letter
from stream.history.histories import WATERMARK
from stream.position.proofs import prove

Made = tuple[Message, Answer, Record]
_PROOF = "source_proof"


def _no_key(_partition: int) -> bytes:
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Where records go, the id of the bundle that decides, and the group that reads. `receipts` empty: none.

    `key`: the secret of a partition, by which its records prove what they settle; empty: there is none. `body`: what
    a message's value holds; receipts keep that, dead letters the whole value. `carried`: names of headers, in lower
    case, that go from a message to its decision and receipt.
    """

    output: str
    dead_letters: str
    bundle_id: str
    group: str
    receipts: str = ""
    key: Callable[[int], bytes] = _no_key
    body: Body = plain
    carried: frozenset[str] = frozenset()

    def records(self, batch: Batch, answers: Sequence[Answer], now: float) -> list[Record]:
        """Return the one record for each message, and behind them the receipts of decisions made `now` (since 1970).

        Where one half of a decision is there already, only the other.

        Raises:
            BundleError: this bundle decides otherwise than that half tells.

        """
        made = [(m, a, self.record(m, a)) for m, a in zip(batch.messages, answers, strict=True)]
        half = self._agreed(made, batch.halves) if batch.halves else {}
        records = [record for m, _, record in made if not half or half.get(m.place) != self.output]
        if not self.receipts:
            return records
        head = [line_head("stream", now, more=more) for more in (False, True)]
        decided = ((m, a, r) for m, a, r in made if a.refusal is None)
        lacking = ((m, a, r) for m, a, r in decided if not half or half.get(m.place) != self.receipts)
        return records + [self._receipt(m, a, r, head) for m, a, r in lacking]

    def shadows(self, batch: Batch, made: Sequence[Shadows], now: float) -> list[Record]:
        """Return the receipts of challengers, which lie beside those of the decisions and settle nothing.

        Where a decision's own receipt is there already, so are they.
        """
        if not self.receipts or not made:
            return []
        head = line_head("stream", now, shadow=True)
        there = {place for place, half in batch.halves.items() if half.topic == self.receipts}
        return [
            self._shadow(batch.messages[at], answer, head)
            for one in made
            for at, answer in one.answers.items()
            if answer.decision is not None and batch.messages[at].place not in there
        ]

    def _shadow(self, message: Message, answer: Answer, head: bytes) -> Record:
        carried = self._carried(message)
        headers = ((KIND, SHADOW.encode()), ("bundle_id", answer.bundle_id.encode()), *carried)
        parts = self._parts(message, answer, head, carried)
        return Record(self.receipts, message.partition, message.key, None, headers, parts)

    def _agreed(self, made: Sequence[Made], halves: Mapping[tuple[int, int], Message]) -> dict[tuple[int, int], str]:
        """Return in which topic the half of a message is, after a look that it holds the decision made now."""
        for message, answer, _ in made:
            half, decision = halves.get(message.place), answer.decision or b""
            if half is not None and half.value != decision and not is_receipt_of(half.value or b"", decision):
                by = (dict(half.headers).get("bundle_id") or b"").decode(errors="replace")
                raise BundleError(
                    f"{half.topic} partition {half.partition} offset {half.offset}: a broker lost the other half of "
                    "this decision and its receipt (see docs/stream.md, What brokers forget), and bundle "
                    f"{self.bundle_id} decides otherwise. Start once with the bundle that made it, {by}; or, to go on "
                    "without it, set the group's offsets behind it with kafka-consumer-groups --reset-offsets."
                )
        return {place: half.topic for place, half in halves.items()}

    def _receipt(self, message: Message, answer: Answer, decision: Record, head: Sequence[bytes]) -> Record:
        carried = self._carried(message)
        parts = self._parts(message, answer, head[bool(carried) or answer.history is not None], carried)
        kept = [header for header in decision.headers if header[0] != _PROOF]
        return self._proving(message, Record(self.receipts, message.partition, message.key, None, kept, parts))

    def _parts(self, message: Message, answer: Answer, head: bytes, carried: Headers) -> Sequence[bytes]:
        where = f'{{"topic":"{message.topic}","partition":{message.partition},"offset":{message.offset}}}'.encode()
        headers = {name: text_of(value or b"") for name, value in carried}
        return receipt_parts(head, line_source(where, headers), self.body(message.value or b""), answer)

    def _carried(self, message: Message) -> Headers:
        """Return the headers that go with an application, so many and so large at most; the others do not."""
        if not message.headers or not self.carried:
            return ()
        found = [h for h in message.headers if h[0].lower() in self.carried and len(h[1] or b"") <= MOST_BYTES]
        return found[:MOST_NAMES]

    def record(self, message: Message, answer: Answer) -> Record:
        """Return the one record for a message."""
        if answer.refusal is not None:
            key = self.key(message.partition)
            return dead_letter(message, answer.refusal, self.dead_letters, self.group, key)
        headers = (
            ("source_topic", message.topic.encode()),
            ("source_partition", str(message.partition).encode()),
            ("source_offset", str(message.offset).encode()),
            ("source_group", self.group.encode()),
            ("bundle_id", self.bundle_id.encode()),
            *self._carried(message),
            *([] if answer.history is None else [(WATERMARK, answer.history.watermark)]),
        )
        return self._proving(message, Record(self.output, message.partition, message.key, answer.decision, headers))

    def _proving(self, message: Message, record: Record) -> Record:
        key = self.key(message.partition)
        if not key:
            return record
        return record._replace(headers=(*record.headers, (_PROOF, prove(key, self.group, message, record))))

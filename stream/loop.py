"""One worker of the stream: applications in; one decision or dead letter out for each, exactly once.

The delivery contract, in the order of the code:

1. begin    A partition begins at the group's committed offset, once no open transaction may still change it, and only
            if the records of this group in the targets agree: what they show as decided is not decided again, what they
            lack is. An offset that an operator set holds. See `stream.position`.
2. take     Wait for a message, then take what has arrived with it, up to a ceiling; no waiting to fill a batch.
            Nothing is acknowledged yet. A rebalance meanwhile drops what is in hand before anything was done with it.
3. answer   Each message becomes exactly one record: a decision, or a dead letter with the message byte for byte. Its
            key and partition number are the message's, so that order per key is kept. A message on which the program
            itself fails becomes a dead letter as well (code `fault`), so that it does not hold up the partition. With a
            topic for receipts, each decision has one receipt more, which goes the same way; where a broker lost one
            of the two, that one alone is written again.
4. judge    If the share of dead letters shows that a producer's release went wrong, the worker stops (exit code 6) and
            nothing of this batch is committed.
5. write    The records and the offsets to read next go into one transaction, with the proof of membership from step 2:
            the broker refuses a worker that was replaced since.
6. commit   A crash before this line lets the batch be read again, and its records stay invisible to readers of
            committed records. After it all of them are final.
7. recover  A retriable error repeats the same call; after any other error the partitions begin again (line 1), with a
            new producer. What a broker forgot to end is ended (`forgotten`). Too long without success: exit
            code 4.
8. change   Where the link to the bundle leads to another one, the next batch is decided by that. The batch in hand is
            final by then, or is read again and decided whole by the new one.
9. compare  Challengers decide behind line 4, within a bound. Their receipts go into the same transaction, and settle
            nothing: they bear no claim. So they are there where the decision's own receipt is, once, or left out.
10. watch   A step that passes its deadline ends the process (exit code 5); starting again is safe by the lines above.
11. stop    Asked to end, the worker settles the batch in hand, then leaves the group.

At least once (for brokers without transactions): lines 5 and 6 write the records, wait until all have arrived and then
commit the offsets; a crash in between repeats records, which carry the same `decision_id`.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from monitoring.live import StreamMetrics
from scoring.message import Answer
from serving.breaker import Breaker
from serving.challengers import Shadows
from serving.watchdog import Watchdog
from stream.answers import AnswerMessages, Challenge, InService, answer_all
from stream.client.errors import CircuitOpenError
from stream.client.patience import Clock
from stream.client.records import Batch, Message
from stream.history.histories import Redecided, as_before
from stream.pace import Pace
from stream.position.broker import GroupConsumer
from stream.position.delivery import Delivery
from stream.routes import Routes
from stream.unassigned import Unassigned

log = logging.getLogger(__name__)

WAIT_S = 0.1
SCORE, WRITE = "score", "write and commit"  # steps in which the consumer is not in use


@dataclass(slots=True, kw_only=True)
class Worker:
    """The parts of one worker. `clock` is monotonic seconds, `now` those since 1970."""

    consumer: GroupConsumer
    delivery: Delivery
    answer: AnswerMessages
    routes: Routes
    breaker: Breaker
    pace: Pace
    watchdog: Watchdog
    metrics: StreamMetrics
    clock: Clock
    now: Clock
    unassigned: Unassigned
    redecided: Redecided | None = None
    another: Callable[[], InService | None] = lambda: None
    challenge: Challenge | None = None
    settled: int = 0

    def run(self, asked_to_stop: Callable[[], bool], stop_when_idle_s: float | None = None) -> None:
        """Work until asked to stop, or until all is read and nothing has arrived for `stop_when_idle_s`.

        Raises:
            CircuitOpenError: too many dead letters; nothing of the last batch was committed.
            DeliveryError: the broker could not be read from or written to for too long, or an offset is gone.

        """
        busy = self.clock()
        while not asked_to_stop():
            self.watchdog.alive("look after transactions")
            self.delivery.tend()
            self._change()
            self.watchdog.alive("read")
            batch = self.consumer.take(self.pace.most, WAIT_S)
            self._look(stop_when_idle_s)
            if batch.messages:
                self._settle(batch)
            if batch.messages or not self.consumer.idle():
                busy = self.clock()
            elif stop_when_idle_s is not None and self.clock() - busy > stop_when_idle_s:
                self.consumer.refuse_held()
                return

    def _change(self) -> None:
        """Go over to another bundle, if one is there."""
        bundle = self.another()
        if bundle is None:
            return
        self.answer, self.challenge = bundle.answer, bundle.challenge
        if self.redecided is not None and bundle.history is not None:
            self.redecided = replace(self.redecided, history=bundle.history)
        self.routes = replace(self.routes, bundle_id=bundle.bundle_id)
        if bundle.live is not None:
            self.metrics.change(bundle.live)
        log.info("bundle %s decides from here on", bundle.bundle_id)

    def _look(self, stop_when_idle_s: float | None) -> None:
        """Show what the group gave to this worker, and speak where that is nothing."""
        consumer = self.consumer
        given = bool(consumer.assigned or consumer.waiting or consumer.held)
        self.metrics.position(consumer.assigned, consumer.lag)
        self.metrics.held(len(consumer.held), len(consumer.why))
        self.metrics.unassigned(self.unassigned.look(given=given, stop_when_idle_s=stop_when_idle_s))

    def _settle(self, batch: Batch) -> None:
        messages, began = batch.messages, self.clock()
        self.watchdog.alive(SCORE)
        answers = answer_all(self.answer, messages, self.routes.body)
        answers = as_before(batch, answers, self.redecided, self.routes.body)
        scored = self.clock()
        breaker = self.breaker.after([a.refusal is not None for a in answers])
        if breaker is None:
            raise CircuitOpenError(_open_circuit(messages, answers, self.breaker))
        now = self.now()
        records = self.routes.records(batch, answers, now)
        receipts = sum(record.topic == self.routes.receipts for record in records)
        shadows = self._shadows(messages, answers, scored - began)
        records += self.routes.shadows(batch, shadows, now)
        ready = self.clock()
        self.watchdog.alive(WRITE)
        if self.delivery.deliver(records, batch.offsets, batch.membership):
            self.breaker = breaker
            self.settled += len(messages)
            self.metrics.batch(answers, scored - began, self.clock() - ready)
            self.metrics.receipts(receipts)
            self.metrics.refused(breaker.refused_share)
            for one in shadows:
                for outcome, count in one.counts.items():
                    self.metrics.challenged(one.bundle_id, outcome, count)
        else:
            self.metrics.aborted()
        self.pace.took(len(messages), self.clock() - began)

    def _shadows(self, messages: Sequence[Message], answers: Sequence[Answer], spent_s: float) -> list[Shadows]:
        """Return what challengers decide beside the batch."""
        if self.challenge is None:
            return []
        return self.challenge([self.routes.body(m.value or b"") for m in messages], answers, spent_s)


def _open_circuit(messages: Sequence[Message], answers: Sequence[Answer], breaker: Breaker) -> str:
    refusals = [(m, a.refusal) for m, a in zip(messages, answers, strict=True) if a.refusal is not None]
    causes = Counter(f"{refusal.code} at {refusal.pointer or '/'}" for _, refusal in refusals).most_common(3)
    first = refusals[0][0]
    return (
        f"circuit breaker: more than {breaker.max_share:.0%} of {breaker.window} messages in a row were refused "
        f"({', '.join(f'{cause}: {count}' for cause, count in causes)}). A producer's release probably went wrong. "
        f"Nothing of the last {len(messages)} messages was committed; the first refused one is partition "
        f"{first.partition} offset {first.offset} of {first.topic}. Correct the producer. Then start again with "
        f"--accept-rejects {len(refusals)} or more, which sends the next so many refused messages to the dead letters."
    )

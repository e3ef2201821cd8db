"""What a worker of the stream and a worker of the REST door count."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from features.matrix import FeatureTable
from monitoring.live.families import gauge
from monitoring.live.live import DirtCounts, Live
from monitoring.live.metric_names import (
    BUNDLES,
    CHALLENGED,
    CHANGES,
    DECIDED,
    DIRT,
    HISTORY_COUNTS,
    HISTORY_LAG,
    REFUSED,
    REST_WORKER,
    STREAM,
    Metric,
    served,
)
from monitoring.live.registry import Deaths, Registry
from scoring.decisions import Decided
from scoring.doors import REST, Door
from scoring.doors import STREAM as STREAM_DOOR
from scoring.message import Answer

AnswerRound = Callable[[Sequence[bytes]], list[Answer]]


Lag = Callable[[], tuple[float, float] | None]  # messages and seconds; None: nobody fills a store from a topic


def _no_store() -> None:
    return None


class DoorMetrics:
    """What both doors count alike: decisions by class, refusals by code, and what is live of each decision."""

    def __init__(self, door: Door, metrics: tuple[Metric, ...], live: Live | None, *more: Collector) -> None:
        """Begin at zero. Without `live` only answers are counted."""
        self._door = door
        self.registry = Registry((*metrics, *BUNDLES, *HISTORY_COUNTS, DIRT), (*more, self))
        self._decisions, self._refusals = door.metric("decisions_total"), door.metric(door.refusals)
        self._live = live
        self._lag: Lag = _no_store
        self._children: dict[tuple[str, ...], Any] = {}

    def observe(self, decided: Decided, table: FeatureTable) -> None:
        """Note what was scored; it counts with its answers."""
        if self._live is not None:
            self._live.note(decided, table)

    def collect(self) -> Iterator[Family]:
        """Give Prometheus what is live of the bundle in service, and how far the history store is behind."""
        for metric, value in zip(HISTORY_LAG, self._lag() or (), strict=False):  # nothing where nobody fills a store
            yield gauge(metric.name, {"": value})
        if self._live is not None:
            yield from self._live.collect()

    def change(self, live: Live) -> None:
        """Watch the decisions of another bundle from now on."""
        if self._live is not None:
            self._count_dirt(self._live.count())
        self._live = live
        self.registry[CHANGES.name].inc()

    def history(self, lag: Lag) -> None:
        """Show how far the history store is behind."""
        self._lag = lag

    def looked_up(self, customers: int, unknown: int) -> None:
        """Count customers who were looked up in the history store, and those whom it does not know."""
        for metric, count in zip(HISTORY_COUNTS, (customers, unknown), strict=True):
            self.registry[metric.name].inc(count)

    def bundle_refused(self, *, refused: bool) -> None:
        """Note whether the bundle that should be served is refused."""
        self.registry[REFUSED.name].set(refused)

    def challenged(self, bundle_id: str, outcome: str, count: int) -> None:
        """Count applications by what became of them at a challenger."""
        self._child(CHALLENGED.name, bundle_id, outcome).inc(count)

    def text(self) -> bytes:
        """Return all values in Prometheus' text form."""
        if self._live is not None:
            self._count_dirt(self._live.count())
        return self.registry.text()

    def _settle(self) -> None:
        """Count what was noted of the decisions that are final."""
        if self._live is not None:
            self._count_dirt(self._live.settle())

    def _answered(self, answers: Sequence[Answer]) -> None:
        for name, count in Tally(a.credit_class for a in answers if a.refusal is None).items():
            self._child(self._decisions, str(name)).inc(count)
        for bundle_id, count in Tally(a.bundle_id for a in answers if a.bundle_id).items():
            self._child(DECIDED.name, bundle_id).inc(count)
        for code, count in Tally(a.refusal.code for a in answers if a.refusal is not None).items():
            self._child(self._refusals, code).inc(count)

    def forget(self) -> None:
        """Do not count what was noted and not answered: the round failed."""
        if self._live is not None:
            self._live.forget()

    def _count_dirt(self, dirt: DirtCounts) -> None:
        for labels, cells in dirt.items():
            self._child(DIRT.name, *labels).inc(cells)

    def _child(self, name: str, *labels: str) -> Any:
        """Return the metric of a set of labels, which is dear to find, so that it is kept."""
        child = self._children.get((name, *labels))
        if child is None:
            child = self._children[name, *labels] = self.registry[name].labels(*labels)
        return child


class StreamMetrics(DoorMetrics):
    """What a worker of the stream counts."""

    def __init__(self, live: Live | None = None) -> None:
        """Begin at zero."""
        super().__init__(STREAM_DOOR, STREAM, live)
        self._partitions: set[int] = set()

    def limits(self, refused_share: float, step_s: float, standing_s: Callable[[], float]) -> None:
        """Say where circuit breaker and watchdog end the worker, and how long its step has taken whenever asked."""
        self.registry["credit_stream_refused_share_limit"].set(refused_share)
        self.registry["credit_stream_step_limit_seconds"].set(step_s)
        self.registry["credit_stream_step_seconds"].set_function(standing_s)

    def batch(self, answers: Sequence[Answer], score_s: float, transaction_s: float) -> None:
        """Count a batch that is final."""
        self._settle()
        self._answered(answers)
        values = self.registry
        values["credit_stream_messages_total"].inc(len(answers))
        values["credit_stream_batch_messages"].observe(len(answers))
        values["credit_stream_score_seconds"].observe(score_s)
        values["credit_stream_transaction_seconds"].observe(transaction_s)

    def receipts(self, count: int) -> None:
        """Count receipts that are final."""
        self.registry["credit_stream_receipts_total"].inc(count)

    def refused(self, share: float) -> None:
        """Note the share of refused messages that the circuit breaker sees now."""
        self.registry["credit_stream_refused_share"].set(share)

    def false_claim(self) -> None:
        """Count a record that claims to settle a message and does not prove it."""
        self.registry["credit_stream_false_claims_total"].inc()

    def held(self, count: int, waiting: int) -> None:
        """Note how many partitions cannot be read on, and how many cannot begin yet."""
        self.registry["credit_stream_held_partitions"].set(count)
        self.registry["credit_stream_waiting_partitions"].set(waiting)

    def unassigned(self, seconds: float) -> None:
        """Note for how long the group has given no partition to this worker."""
        self.registry["credit_stream_unassigned_seconds"].set(seconds)

    def aborted(self) -> None:
        """Count a batch that is read again."""
        self.forget()
        self.registry["credit_stream_transaction_aborts_total"].inc()

    def position(self, assigned: Mapping[int, int], lag: Callable[[], dict[int, int]]) -> None:
        """Note the partitions and how far behind they are; partitions that were given up are left out."""
        gauge = self.registry["credit_stream_consumer_lag"]
        behind = lag()
        for partition in self._partitions - behind.keys():
            gauge.remove(str(partition))
        for partition, count in behind.items():
            gauge.labels(str(partition)).set(count)
        self._partitions = set(behind)
        self.registry["credit_stream_assigned_partitions"].set(len(assigned))


class ServedMetrics(DoorMetrics):
    """What a worker of a door counts that answers whoever asks: rounds, answers that were sent, receipts."""

    @classmethod
    def of(cls, door: Door, live: Live | None = None) -> Self:
        """Count for a door that has no metrics but these."""
        return cls(door, served(door), live)

    def counting(self, answer: AnswerRound, live: Live | None = None) -> AnswerRound:
        """Count what is scored together; what was noted of a round that fails is forgotten.

        `live` notes what this bundle decides; None: that of the bundle in service.
        """

        def counted(messages: Sequence[bytes]) -> list[Answer]:
            noting = live or self._live
            try:
                answers = answer(messages)
                self.round(answers, noting)
            finally:
                if noting is not None:
                    noting.forget()
            return answers

        return counted

    def round(self, answers: Sequence[Answer], live: Live | None = None) -> None:
        """Count applications that were scored together; each counts as a decision when it is sent.

        `live` has noted them; None: that of the bundle in service.
        """
        noting = live or self._live
        if noting is not None:
            self._count_dirt(noting.settle())
        self.registry[self._door.metric("round_applications")].observe(len(answers))

    def sent(self, answers: Sequence[Answer]) -> None:
        """Count answers of a request whose response goes out."""
        self._answered(answers)

    def receipts(self, count: int) -> None:
        """Count receipts that were written."""
        self.registry[self._door.metric("receipts_total")].inc(count)

    def outbox(self, *, sealed: int, waiting: int, failing: bool) -> None:
        """Count receipts that were sealed since the last call, and note how many wait."""
        self.registry[self._door.metric("receipts_sealed_total")].inc(sealed)
        self.registry[self._door.metric("receipts_unsealed")].set(waiting)
        self.registry[self._door.metric("receipts_unwritable")].set(failing)


class RestMetrics(ServedMetrics):
    """What a worker of the REST door counts besides: requests."""

    def __init__(self, live: Live | None = None) -> None:
        """Begin at zero."""
        super().__init__(REST, REST_WORKER, live, Deaths())

    def request(self, path: str, status: int, code: str, seconds: float) -> None:
        """Count a request that is over; `path` is one of the table of routes, or empty."""
        self._child("credit_rest_requests_total", path, str(status)).inc()
        self._child("credit_rest_request_seconds", path).observe(seconds)
        if code:
            self._child("credit_rest_problems_total", code).inc()

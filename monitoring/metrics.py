"""Every metric of the product in one list, from which come the registries and the table in docs/monitoring.md."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import prometheus_client as prometheus

from scoring.messages import Answer

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST


class Kind(StrEnum):
    """Kinds of metrics, as Prometheus names them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. `buckets`: upper bounds of a histogram."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

STREAM = (
    Metric(
        name="credit_stream_messages_total",
        kind=Kind.COUNTER,
        meaning="Messages settled: each became a decision or a dead letter.",
    ),
    Metric(
        name="credit_stream_decisions_total",
        kind=Kind.COUNTER,
        meaning="Decisions written and committed, by credit class.",
        labels=("credit_class",),
    ),
    Metric(
        name="credit_stream_receipts_total",
        kind=Kind.COUNTER,
        meaning="Receipts written and committed together with their decisions.",
    ),
    Metric(
        name="credit_stream_dead_letters_total",
        kind=Kind.COUNTER,
        meaning="Messages refused and sent to the dead letters, by code.",
        labels=("code",),
    ),
    Metric(
        name="credit_stream_batch_messages",
        kind=Kind.HISTOGRAM,
        meaning="Messages settled in one transaction.",
        buckets=_MESSAGES,
    ),
    Metric(
        name="credit_stream_score_seconds",
        kind=Kind.HISTOGRAM,
        meaning="Seconds to decode and score one batch.",
        buckets=_SECONDS,
    ),
    Metric(
        name="credit_stream_transaction_seconds",
        kind=Kind.HISTOGRAM,
        meaning="Seconds to write one batch and commit it.",
        buckets=_SECONDS,
    ),
    Metric(
        name="credit_stream_transaction_aborts_total",
        kind=Kind.COUNTER,
        meaning="Batches that were not committed and are read again.",
    ),
    Metric(
        name="credit_stream_consumer_lag",
        kind=Kind.GAUGE,
        meaning="Offsets between the next message to read and the end of the partition.",
        labels=("partition",),
    ),
    Metric(
        name="credit_stream_assigned_partitions",
        kind=Kind.GAUGE,
        meaning="Partitions that this worker reads now.",
    ),
)


def metrics_table(metrics: Iterable[Metric] = STREAM) -> str:
    """Return the metrics as a Markdown table."""
    rows = [f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.meaning} |" for m in metrics]
    return "\n".join(["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


class Registry:
    """Metrics of one process by name, with those of the process itself (memory, CPU)."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        """Make each metric, at zero."""
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        self._metrics: dict[str, Any] = {m.name: self._make(m) for m in metrics}

    def __getitem__(self, name: str) -> Any:
        """Return the metric of this name."""
        return self._metrics[name]

    def text(self) -> bytes:
        """Return all values in Prometheus' text form."""
        return prometheus.generate_latest(self._registry)

    def _make(self, m: Metric) -> Any:
        if m.kind is Kind.HISTOGRAM:
            return prometheus.Histogram(m.name, m.meaning, m.labels, registry=self._registry, buckets=m.buckets)
        if m.kind is Kind.COUNTER:
            return prometheus.Counter(m.name, m.meaning, m.labels, registry=self._registry)
        return prometheus.Gauge(m.name, m.meaning, m.labels, registry=self._registry, multiprocess_mode="livesum")


class StreamMetrics:
    """What a worker of the stream counts."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.registry = Registry(STREAM)
        self._partitions: set[int] = set()

    def batch(self, answers: Sequence[Answer], score_s: float, transaction_s: float) -> None:
        """Count a batch that is final."""
        values = self.registry
        values["credit_stream_messages_total"].inc(len(answers))
        for name, count in Tally(a.credit_class for a in answers if a.refusal is None).items():
            values["credit_stream_decisions_total"].labels(name).inc(count)
        for code, count in Tally(a.refusal.code for a in answers if a.refusal is not None).items():
            values["credit_stream_dead_letters_total"].labels(code).inc(count)
        values["credit_stream_batch_messages"].observe(len(answers))
        values["credit_stream_score_seconds"].observe(score_s)
        values["credit_stream_transaction_seconds"].observe(transaction_s)

    def receipts(self, count: int) -> None:
        """Count receipts that are final."""
        self.registry["credit_stream_receipts_total"].inc(count)

    def aborted(self) -> None:
        """Count a batch that is read again."""
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

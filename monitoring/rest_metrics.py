"""What a worker of the REST door counts. Several workers count together in files, which /metrics of each adds up."""

import os
from collections import Counter as Tally
from collections.abc import Sequence

import prometheus_client as prometheus
from prometheus_client import multiprocess

from monitoring.metrics import Kind, Metric, Registry
from scoring.messages import Answer

REST = (
    Metric(
        name="credit_rest_requests_total",
        kind=Kind.COUNTER,
        meaning="Requests answered, by address and status; 499: the client went away.",
        labels=("path", "status"),
    ),
    Metric(
        name="credit_rest_problems_total",
        kind=Kind.COUNTER,
        meaning="Requests answered with a problem, by code.",
        labels=("code",),
    ),
    Metric(
        name="credit_rest_request_seconds",
        kind=Kind.HISTOGRAM,
        meaning="Seconds from the head of a request to its answer, by address.",
        labels=("path",),
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    ),
    Metric(
        name="credit_rest_decisions_total",
        kind=Kind.COUNTER,
        meaning="Decisions sent, by credit class.",
        labels=("credit_class",),
    ),
    Metric(
        name="credit_rest_refusals_total",
        kind=Kind.COUNTER,
        meaning="Applications that could not be scored, by code.",
        labels=("code",),
    ),
    Metric(
        name="credit_rest_round_applications",
        kind=Kind.HISTOGRAM,
        meaning="Applications scored together.",
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    ),
    Metric(
        name="credit_rest_receipts_total",
        kind=Kind.COUNTER,
        meaning="Receipts written to the outbox.",
    ),
    Metric(
        name="credit_rest_receipts_sealed_total",
        kind=Kind.COUNTER,
        meaning="Receipts that left the outbox for the decision log.",
    ),
    Metric(
        name="credit_rest_receipts_unsealed",
        kind=Kind.GAUGE,
        meaning="Receipts of the living workers in the outbox.",
    ),
    Metric(
        name="credit_rest_receipts_unwritable",
        kind=Kind.GAUGE,
        meaning="Living workers that refuse requests because receipts cannot be written.",
    ),
)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported


class RestMetrics:
    """Counts requests, decisions and rounds."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = Registry(REST)

    def round(self, answers: Sequence[Answer]) -> None:
        """Count applications that were scored together."""
        values = self._registry
        values["credit_rest_round_applications"].observe(len(answers))
        for name, count in Tally(a.credit_class for a in answers if a.refusal is None).items():
            values["credit_rest_decisions_total"].labels(name).inc(count)
        for code, count in Tally(a.refusal.code for a in answers if a.refusal is not None).items():
            values["credit_rest_refusals_total"].labels(code).inc(count)

    def receipts(self, count: int) -> None:
        """Count receipts that were written."""
        self._registry["credit_rest_receipts_total"].inc(count)

    def outbox(self, *, sealed: int, waiting: int, failing: bool) -> None:
        """Count receipts that were sealed since the last call, and note how many wait."""
        self._registry["credit_rest_receipts_sealed_total"].inc(sealed)
        self._registry["credit_rest_receipts_unsealed"].set(waiting)
        self._registry["credit_rest_receipts_unwritable"].set(failing)

    def request(self, path: str, status: int, code: str, seconds: float) -> None:
        """Count a request that is over; `path` is one of the table of routes, or empty."""
        self._registry["credit_rest_requests_total"].labels(path, str(status)).inc()
        self._registry["credit_rest_request_seconds"].labels(path).observe(seconds)
        if code:
            self._registry["credit_rest_problems_total"].labels(code).inc()

    def text(self) -> bytes:
        """Return all values in Prometheus' text form: of all workers where they count together."""
        if SHARED_FOLDER not in os.environ:
            return self._registry.text()
        together = prometheus.CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return prometheus.generate_latest(together)


def forget_worker(pid: int) -> None:
    """Leave the gauges of a worker that died out of the sums."""
    if SHARED_FOLDER in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]

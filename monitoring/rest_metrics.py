"""What a worker of the REST door counts. Several workers count together in files, which /metrics of each adds up."""

import os
from collections import Counter as Tally
from collections.abc import Sequence
from typing import Any

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
)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported


class RestMetrics:
    """Counts requests, decisions and rounds."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = Registry(REST)
        self._counters: dict[tuple[str, int], tuple[Any, Any]] = {}

    def round(self, answers: Sequence[Answer]) -> None:
        """Count applications that were scored together."""
        values = self._registry
        values["credit_rest_round_applications"].observe(len(answers))
        for name, count in Tally(a.credit_class for a in answers if a.refusal is None).items():
            values["credit_rest_decisions_total"].labels(name).inc(count)
        for code, count in Tally(a.refusal.code for a in answers if a.refusal is not None).items():
            values["credit_rest_refusals_total"].labels(code).inc(count)

    def request(self, path: str, status: int, code: str, seconds: float) -> None:
        """Count a request that is over; `path` is one of the table of routes, or empty."""
        count, duration = self._of_requests(path, status)
        count.inc()
        duration.observe(seconds)
        if code:
            self._registry["credit_rest_problems_total"].labels(code).inc()

    def _of_requests(self, path: str, status: int) -> tuple[Any, Any]:
        """Return what a path and status are counted by; looking labels up costs more than counting."""
        found = self._counters.get((path, status))
        if found is None:
            count = self._registry["credit_rest_requests_total"].labels(path, str(status))
            found = self._counters[path, status] = count, self._registry["credit_rest_request_seconds"].labels(path)
        return found

    def text(self) -> bytes:
        """Return all values in Prometheus' text form: of all workers where they count together."""
        if SHARED_FOLDER not in os.environ:
            return self._registry.text()
        together = prometheus.CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return prometheus.generate_latest(together)

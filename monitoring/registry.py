"""The registry of one process. Several workers of the REST door count together in files, which each adds up."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import prometheus_client as prometheus
from prometheus_client import multiprocess
from prometheus_client.registry import Collector

from monitoring.metrics import Kind, Metric

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported


def shared_folder() -> Path | None:
    """Return the folder in which the workers of one door count together; None: there is one worker."""
    return Path(os.environ[SHARED_FOLDER]) if SHARED_FOLDER in os.environ else None


class Registry:
    """Metrics by name, and where there is one worker those of its process (memory, CPU)."""

    def __init__(self, metrics: Iterable[Metric], collector: Collector | None = None) -> None:
        """Make each metric, at zero. `collector` gives further ones whenever they are asked for."""
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        self._metrics: dict[str, Any] = {m.name: self._make(m) for m in metrics}
        self._collector = collector
        if collector is not None:
            self._registry.register(collector)

    def __getitem__(self, name: str) -> Any:
        """Return the metric of this name."""
        return self._metrics[name]

    def text(self) -> bytes:
        """Return all values in Prometheus' text form: of all workers where they count together."""
        if shared_folder() is None:
            return prometheus.generate_latest(self._registry)
        together = prometheus.CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        if self._collector is not None:
            together.register(self._collector)
        return prometheus.generate_latest(together)

    def _make(self, m: Metric) -> Any:
        if m.kind is Kind.HISTOGRAM:
            return prometheus.Histogram(m.name, m.meaning, m.labels, registry=self._registry, buckets=m.buckets)
        kind = prometheus.Counter if m.kind is Kind.COUNTER else prometheus.Gauge
        return kind(m.name, m.meaning, m.labels, registry=self._registry)

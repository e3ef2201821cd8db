"""The registry of one process. Several workers of the REST door count together in files, which each adds up."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import prometheus_client as prometheus
from prometheus_client import multiprocess
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from monitoring.live.metric_names import DEATHS, Kind, Metric

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
_DEATHS = "deaths"  # a file with one byte for each
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported


def shared_folder() -> Path | None:
    """Return the folder in which the workers of one door count together; None: there is one worker."""
    return Path(os.environ[SHARED_FOLDER]) if SHARED_FOLDER in os.environ else None


def forget_worker(pid: int) -> None:
    """Leave the gauges of a worker that died out of the sums, and count its death."""
    folder = shared_folder()
    if folder is not None:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        with (folder / _DEATHS).open("ab") as deaths:
            deaths.write(b".")


class Deaths:
    """Counts the workers of this door that died."""

    def collect(self) -> Iterator[Family]:
        """Give Prometheus the number."""
        folder = shared_folder()
        path = None if folder is None else folder / _DEATHS
        count = path.stat().st_size if path is not None and path.exists() else 0
        yield CounterMetricFamily(DEATHS.name, DEATHS.meaning, count)


class Registry:
    """Metrics by name, and where there is one worker those of its process (memory, CPU)."""

    def __init__(self, metrics: Iterable[Metric], collectors: Sequence[Collector] = ()) -> None:
        """Make each metric, at zero. `collectors` give further ones whenever they are asked for."""
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        self._metrics: dict[str, Any] = {m.name: self._make(m) for m in metrics}
        self._collectors = collectors
        for collector in collectors:
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
        for collector in self._collectors:
            together.register(collector)
        return prometheus.generate_latest(together)

    def _make(self, m: Metric) -> Any:
        if m.kind is Kind.HISTOGRAM:
            return prometheus.Histogram(m.name, m.meaning, m.labels, registry=self._registry, buckets=m.buckets)
        if m.kind is Kind.COUNTER:
            return prometheus.Counter(m.name, m.meaning, m.labels, registry=self._registry)
        return prometheus.Gauge(m.name, m.meaning, m.labels, registry=self._registry, multiprocess_mode="livesum")

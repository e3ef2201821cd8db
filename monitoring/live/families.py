"""Values for Prometheus under the names, meanings and labels of the one list of metrics."""

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from monitoring.live.metric_names import HISTORY, LIVE

_METRICS = {metric.name: metric for metric in (*LIVE, *HISTORY)}


def gauge(name: str, values: dict[str, float]) -> Family:
    """Make a gauge; the keys of `values` are those of its one label, or "" where it has none."""
    metric = _METRICS[name]
    family = GaugeMetricFamily(name, metric.meaning, labels=metric.labels)
    for label, value in values.items():
        family.add_metric([label] if metric.labels else [], value)
    return family

"""How far the history store of a door is behind the topic of events."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric as Family

from monitoring.live.families import gauge
from monitoring.live.metric_names import HISTORY_LAG

Lag = Callable[[], tuple[float, float] | None]  # messages and seconds; None: nobody fills the store from a topic


def lag_families(found: tuple[float, float] | None) -> Iterator[Family]:
    """Give Prometheus messages and seconds; nothing where there is no store, or one that nobody fills."""
    for metric, value in zip(HISTORY_LAG, found or (), strict=False):
        yield gauge(metric.name, {"": value})

"""What the doors count while they serve, as metrics."""

from monitoring.live.door_metrics import RestMetrics, ServedMetrics, StreamMetrics
from monitoring.live.live import NO_REFERENCE, Live
from monitoring.live.registry import CONTENT_TYPE, SHARED_FOLDER, forget_worker, shared_folder

__all__ = [
    "CONTENT_TYPE",
    "NO_REFERENCE",
    "SHARED_FOLDER",
    "Live",
    "RestMetrics",
    "ServedMetrics",
    "StreamMetrics",
    "forget_worker",
    "shared_folder",
]

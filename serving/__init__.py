"""What doors that are always on share: rounds, keys, limits, receipts, health, supervision."""

__all__ = [
    "breaker",
    "bundle_watch",
    "challengers",
    "coalescer",
    "fair_queue",
    "health_port",
    "json_log",
    "keys",
    "rates",
    "recorder",
    "sealing",
    "supervisor",
    "watchdog",
]

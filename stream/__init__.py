"""Door 2: applications from a Kafka topic. Translates and does nothing else; confluent_kafka in one file."""

__all__ = [
    "answers",
    "bundles",
    "client",
    "dead_letters",
    "history",
    "position",
    "publish",
    "receipts",
    "redrive",
    "service",
    "settings",
    "start",
    "status",
    "topic_check",
]

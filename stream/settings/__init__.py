"""What can be set of a worker and of its Kafka client."""

__all__ = ["client_settings", "settings"]

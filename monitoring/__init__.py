"""What is watched in service: metric names in one list. The only user of prometheus_client."""

__all__ = ["live", "nightly", "page"]

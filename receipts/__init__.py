"""The decision log: a receipt for each decision of every door, in chains of immutable segments, and its replay."""

__all__ = ["frame", "line_parts", "lines", "log", "outbox", "outcomes", "pii", "replay"]

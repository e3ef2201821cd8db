"""Tables in, files out: strict reading block by block, atomic replacement, locks and durable writes."""

__all__ = [
    "buckets",
    "durable",
    "frames",
    "locks",
    "opened",
    "remote",
    "room",
    "spool",
    "table_writer",
    "tables",
    "targets",
]

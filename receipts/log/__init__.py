"""The decision log on disk: chains of segments, their heads, search, audit and removal."""

from receipts.log.audit import Audit, audit
from receipts.log.chain import Chain, Head, Staged
from receipts.log.find import find
from receipts.log.find_headers import find_by_header
from receipts.log.folder import OUTBOX, create_log
from receipts.log.read import Segment, all_segments, overlaps, segments
from receipts.log.removal import Removed, erase, expire

__all__ = [
    "OUTBOX",
    "Audit",
    "Chain",
    "Head",
    "Removed",
    "Segment",
    "Staged",
    "all_segments",
    "audit",
    "create_log",
    "erase",
    "expire",
    "find",
    "find_by_header",
    "overlaps",
    "segments",
]

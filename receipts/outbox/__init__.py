"""Receipts of the REST door that are durable before the answer goes out, until they are sealed."""

from receipts.outbox.outbox import Outbox
from receipts.outbox.outbox_files import SUFFIX, Maker, files_of, is_of_challenger
from receipts.outbox.sealer import seal_outboxes, waiting_since
from receipts.outbox.unsealed import Waiting, find_unsealed

__all__ = [
    "SUFFIX",
    "Maker",
    "Outbox",
    "Waiting",
    "files_of",
    "find_unsealed",
    "is_of_challenger",
    "seal_outboxes",
    "waiting_since",
]

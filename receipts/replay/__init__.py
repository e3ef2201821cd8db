"""Receipts decided again: with their own bundle, or with another one."""

from receipts.replay.bundles import bundle_folders, find_bundles
from receipts.replay.replay import Parts, Replay, all_parts, replay, since_when
from receipts.replay.rescore import Rescored, Rescorer, differences
from receipts.replay.what_if import WhatIf, what_if

__all__ = [
    "Parts",
    "Replay",
    "Rescored",
    "Rescorer",
    "WhatIf",
    "all_parts",
    "bundle_folders",
    "differences",
    "find_bundles",
    "replay",
    "since_when",
    "what_if",
]

"""What two bundles decide otherwise, and why."""

from compare.changes import Changes, why_changed
from compare.page import headline, render
from compare.shadows import compared, read_pairs

__all__ = ["Changes", "compared", "headline", "read_pairs", "render", "why_changed"]
